"""Run files that are wrong: every problem, with its place, all at once."""

import math
from pathlib import Path

import pytest

from lemfarm.scorers import scorer_names
from tests.run_files import GOOD, load, problems, spot, write_files, write_probes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) >= 1, old
    return GOOD.replace(old, new, 1)


def test_the_good_file_is_good(folder: Path) -> None:
    assert load(folder).run == "tiny"


def test_everything_that_is_wrong_is_reported_at_once_in_the_order_of_the_file(folder: Path) -> None:
    text = """\
run: tiny
model: {engine: simulated, sped: 3}
kernel: {file: nowhere.txt, placement: above}
sampling: {temperature: hot, temperature: 0.8}
phases:
  - name: first
    probes: [missing.jsonl]
    samples: 10.5
    gates: [{scorer: v9, at_least: 24}, {min_words: 3}]
    quota: {accepted: 9, enough: 12, give_up_below: 1.0}
  - name: second
    probes: [probes.jsonl]
    samples: 10
    quota: {at_most_per_probe: 0}
    languages: en
  - name: third
    probes: [probes.jsonl]
    samples: 1
    quota: {accepted: 7}
    train: {iterations: 1, learning_rate: 1e-5}
notify: say 'hello
"""
    assert problems(folder, text) == [
        (
            "2:28: model.sped: unknown key; known here: engine, path, tokens_per_second, first_token_seconds, "
            "mean_tokens, quality, prompt_spread, failure_rate, crash_rate, abort_above, slots"
        ),
        f"3:16: kernel.file: cannot read {folder / 'nowhere.txt'}: No such file or directory",
        "3:40: kernel.placement: should be system, user or none, not 'above'",
        "4:25: sampling.temperature: should be a number, not 'hot'",
        "4:30: sampling.temperature: this key stands here twice, first in line 4",
        f"7:14: phases.0.probes.0: cannot read {folder / 'missing.jsonl'}: No such file or directory",
        "8:14: phases.0.samples: should be a whole number, not 10.5",
        f"9:22: phases.0.gates.0.scorer: there is no scorer 'v9'; known: {', '.join(scorer_names())}",
        (
            "9:41: phases.0.gates.1: a gate is one of {scorer: NAME, at_least: NUMBER}, {truncated: reject}, "
            "{looping: reject}, {min_chars: NUMBER}, {duplicates: reject}"
        ),
        "10:34: phases.0.quota.enough: should be at most `accepted`: 12 > 9",
        "10:53: phases.0.quota.give_up_below: should be less than 1, not 1.0",
        "14:5: phases.1.quota.accepted: is missing",
        "14:32: phases.1.quota.at_most_per_probe: should be at least 1, not 0",
        (
            "15:5: phases.1.languages: unknown key; known here: name, probes, kernel, sampling, generate_with, "
            "samples, gates, quota, review, external, train, gate_after"
        ),
        (
            "19:23: phases.2.quota.accepted: 7 accepted samples cannot be had: 3 probes give 6 samples "
            "(1 per variant); add probes, raise samples, or lower this"
        ),
        "20:5: phases.2.train: this phase trains, so the file needs a `train` section with the LoRA settings",
        "21:9: notify: cannot be read as a command: No closing quotation",
    ]


def test_problems_name_the_file_as_it_was_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lemfarm.config import load_config
    from lemfarm.errors import ConfigError

    monkeypatch.chdir(folder)
    Path("run.yaml").write_text("run: tiny\n")
    with pytest.raises(ConfigError) as refused:
        load_config("run.yaml", environ={})
    assert refused.value.problems == ["run.yaml:1:1: model: is missing", "run.yaml:1:1: phases: is missing"]
    assert str(refused.value) == "\n".join(refused.value.problems)
    assert refused.value.exit_code == 2


def marked(old: str, new: str) -> tuple[str, str]:
    """GOOD with a change, and the place of the part of it that stands between ‹ and ›."""
    text = changed(old, new)
    return text.replace("‹", "").replace("›", ""), spot(text, "‹")


BAD_VALUES = [
    ("temperature: 0.8", "temperature: ‹'0.8'›", "sampling.temperature", "should be a number, not '0.8'"),
    ("temperature: 0.8", "temperature: ‹null›", "sampling.temperature", "should be a number, not null"),
    ("temperature: 0.8", "temperature: ‹.nan›", "sampling.temperature", "should be a finite number, not nan"),
    ("temperature: 0.8", "temperature: ‹-1›", "sampling.temperature", "should be at least 0, not -1"),
    ("top_p: 0.95", "top_p: ‹1.5›", "sampling.top_p", "should be at most 1, not 1.5"),
    ("top_p: 0.95", "top_p: ‹0›", "sampling.top_p", "should be more than 0, not 0"),
    ("seed: 42", "seed: ‹1_000›", "sampling.seed", "should be a whole number, not '1_000'"),
    ("seed: 42", "seed: ‹true›", "sampling.seed", "should be a whole number, not true"),
    ("seed: 42", "seed: ‹[1]›", "sampling.seed", "should be a whole number, not a list"),
    ("seed: 42", "seed: ‹9223372036854775808›", "sampling.seed", "should be less than"),
    ("run: tiny", "run: ‹2026›", "run", "should be text, not 2026; put it in quotes"),
    ("run: tiny", "run: ‹a/b›", "run", "'a/b' should consist of letters, digits, dots, dashes and underscores"),
    ("rank: 4", "mask_prompt: ‹yes›", "train.mask_prompt", "should be true or false, not 'yes'"),
    ("rank: 4", "num_layers: ‹0›", "train.num_layers", "0 layers would train nothing"),
    ("rank: 4", "optimizer: ‹lion›", "train.optimizer", "should be adam, adamw, sgd, adafactor or muon, not 'lion'"),
    ("[probes.jsonl]", "‹probes.jsonl›", "phases.0.probes", "not 'probes.jsonl'; write [probes.jsonl]"),
    ("[probes.jsonl]", "‹[]›", "phases.0.probes", "should not be empty"),
    ("[probes.jsonl]", "[‹7›]", "phases.0.probes.0", "should be the name of a file, not 7"),
    ("[probes.jsonl]", "[‹.›]", "phases.0.probes.0", "Is a directory"),
    ("{rank: 4}", "‹4›", "train", "should be a section of keys, not 4"),
    ("{truncated: reject}", "{truncated: ‹yes›}", "phases.0.gates.1.truncated", "should be reject or keep, not 'yes'"),
    ("{looping: reject}", "‹{}›", "phases.0.gates.2", "a gate is one of"),
    ("{looping: reject}", "‹looping›", "phases.0.gates.2", "a gate is one of"),
    ("{min_chars: 20}", "{min_chars: ‹0›}", "phases.0.gates.3.min_chars", "should be at least 1, not 0"),
    ("{engine: simulated}", "{engine: ‹gpt›}", "model.engine", "a model needs `engine: mlx`, `engine: simulated` or"),
    ("model: {engine: simulated}", "‹model: simulated›", "model.engine", "a model needs"),
    ("{engine: simulated}", "{engine: mlx, path: ‹./no›}", "model.path", "there is no folder"),
    ("{engine: simulated}", "{engine: simulated, quality: ‹2›}", "model.quality", "should be at most 1, not 2"),
    ("conditions: {", "conditions: {‹a b›: null, ", "evaluate.conditions.a b", "should consist of letters"),
    ("conditions: {", "conditions: {x: ‹3›, ", "evaluate.conditions.x", "should be the name of a file, not 3"),
    ("quota: {", "quota: {when_exhausted: ‹stop›, ", "phases.0.quota.when_exhausted", "should be hold or train"),
    ("    samples: 10", "    kernel: ‹none›\n    samples: 10", "phases.0.kernel", "should be inherit, not 'none'"),
    ("    samples: 10", "    kernel: ‹3›\n    samples: 10", "phases.0.kernel", "should be `inherit`, null or {file"),
    ("    samples: 10", "    sampling: {seed: ‹x›}\n    samples: 10", "phases.0.sampling.seed", "a whole number"),
]


@pytest.mark.parametrize(("old", "new", "path", "words"), BAD_VALUES)
def test_a_bad_value_is_shown_where_it_stands(folder: Path, old: str, new: str, path: str, words: str) -> None:
    text, place = marked(old, new)
    (problem,) = problems(folder, text)
    assert problem.startswith(f"{place}: {path}: ")
    assert words in problem


UNKNOWN_KEYS = [
    ("seed: 42", "seed: 42, ‹temprature›: 0.8", "sampling.temprature", "did you mean `temperature`?"),
    ("rank: 4", "‹ranks›: 4", "train.ranks", "did you mean `rank`?"),
    ("run: tiny", "run: tiny\n‹langauges›: en", "langauges", "known here: run, model"),
    ("at_least: 24", "at_least: 24, ‹mode›: 3", "phases.0.gates.0.mode", "known here: scorer, at_least"),
    ("min_chars: 20", "min_chars: 20, ‹min_char›: 3", "phases.0.gates.3.min_char", "did you mean `min_chars`?"),
    ("file: kernel.txt", "file: kernel.txt, ‹place›: user", "kernel.place", "did you mean `placement`?"),
    ("accepted: 20", "accepted: 20, ‹acepted›: 3", "phases.0.quota.acepted", "did you mean `accepted`?"),
    ("engine: simulated", "engine: simulated, ‹qualty›: 1", "model.qualty", "did you mean `quality`?"),
    ("    samples", "    kernel: {file: other.txt, ‹fil›: 1}\n    samples", "phases.0.kernel.fil", "you mean `file`?"),
]


@pytest.mark.parametrize(("old", "new", "path", "words"), UNKNOWN_KEYS)
def test_an_unknown_key_is_shown_where_it_stands(folder: Path, old: str, new: str, path: str, words: str) -> None:
    text, place = marked(old, new)
    (problem,) = problems(folder, text)
    assert problem.startswith(f"{place}: {path}: unknown key; ")
    assert words in problem


def test_a_misspelt_key_that_is_needed_is_both_unknown_and_missing(folder: Path) -> None:
    text = changed("accepted: 20", "acepted: 20")
    assert [problem.split(": ", 1)[0] for problem in problems(folder, text)] == [
        spot(text, "quota:"),
        spot(text, "acepted"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("run: tiny\nmodel", "‹›model", "run"),
        ("  - name: first\n    probes", "  - ‹›probes", "phases.0.name"),
        ("{scorer: v2-distill, at_least: 24}", "‹›{scorer: v2-distill}", "phases.0.gates.0.at_least"),
        ("train: {iterations: 10, ", "‹›train: {", "phases.0.train.iterations"),
        ("kernel: {file: kernel.txt}", "‹›kernel: {}", "kernel.file"),
    ],
)  # fmt: skip
def test_a_missing_key_is_shown_at_what_should_hold_it(folder: Path, old: str, new: str, path: str) -> None:
    text, place = marked(old, new)
    assert problems(folder, text) == [f"{place}: {path}: is missing"]


def test_an_empty_list_of_phases_is_refused(folder: Path) -> None:
    text = "run: tiny\nmodel: {engine: simulated}\nphases: []\n"
    assert problems(folder, text) == ["3:9: phases: should not be empty"]


def test_keys_that_change_nothing_may_stand_there(folder: Path) -> None:
    harmless = """\
    generate_with: base
    review: {share: 0.0, before_training: false}
    external: {share: 0.0, files: [], runs: []}
    gate_after: {}
    samples: 10
"""
    text = changed("    samples: 10\n", harmless)
    assert load(folder, text) == load(folder)


@pytest.mark.parametrize("key", ["files: ‹[other.txt]›", "runs: ‹[other]›"])
def test_answers_from_elsewhere_need_a_share(folder: Path, key: str) -> None:
    text, place = marked("    samples", f"    external: {{{key}}}\n    samples")
    (problem,) = problems(folder, text)
    assert problem == f"{place}: phases.0.external.{key.split(':')[0]}: needs a `share` above 0: nothing would be taken"


def test_a_file_of_answers_must_be_there_before_anything_is_planned(folder: Path) -> None:
    text, place = marked("    samples", "    external: {share: 0.3, files: [‹nowhere.jsonl›]}\n    samples")
    (problem,) = problems(folder, text)
    assert problem.startswith(f"{place}: phases.0.external.files.0: cannot read {folder / 'nowhere.jsonl'}")


def test_a_phase_cannot_train_on_other_answers_alone(folder: Path) -> None:
    text, place = marked("    samples", "    external: {share: ‹1.0›}\n    samples")
    assert problems(folder, text) == [f"{place}: phases.0.external.share: should be less than 1, not 1.0"]


def test_a_review_before_training_needs_a_share(folder: Path) -> None:
    text, place = marked("    samples", "    review: {before_training: ‹true›}\n    samples")
    (problem,) = problems(folder, text)
    assert problem == f"{place}: phases.0.review.before_training: needs a `share` above 0: nothing would be reviewed"


def test_a_phase_that_makes_the_whole_grid_cannot_give_up(folder: Path) -> None:
    text, place = marked("enough: 12", "enough: 12, stop_when_full: false, give_up_below: ‹0.1›")
    (problem,) = problems(folder, text)
    assert problem.startswith(f"{place}: phases.0.quota.give_up_below: has no place beside `stop_when_full: false`")
    assert load(folder, changed("enough: 12", "enough: 12, give_up_below: 0.1")).phases[0].quota.give_up_below == 0.1


def test_phase_names_are_unique(folder: Path) -> None:
    phase = GOOD[GOOD.index("  - name") : GOOD.index("train: {rank")]
    text = GOOD.replace(phase, phase + phase)
    assert problems(folder, text) == [f"{spot(text, 'first', 1)}: phases.1.name: phase 0 has the name 'first' already"]


def test_a_quota_beyond_the_cap_per_probe_is_refused(folder: Path) -> None:
    text = changed("at_most_per_probe: 12", "at_most_per_probe: 6")
    assert problems(folder, text) == [
        (
            f"{spot(text, '20,')}: phases.0.quota.accepted: 20 accepted samples cannot be had: 3 probes give 60 "
            "samples, of which at_most_per_probe 6 leaves 18; add probes, raise the cap, or lower this"
        )
    ]


def test_held_out_probes_are_no_part_of_the_grid(folder: Path) -> None:
    text = changed("other.jsonl, held_out: 0.5", "probes.jsonl, held_out: 0.34").replace(
        "accepted: 20, at_most_per_probe: 12", "accepted: 41"
    )
    assert problems(folder, text) == [
        (
            f"{spot(text, '41')}: phases.0.quota.accepted: 41 accepted samples cannot be had: 2 probes give 40 "
            "samples (10 per variant); add probes, raise samples, or lower this"
        )
    ]


def test_the_cap_per_probe_counts_only_where_a_probe_has_more(folder: Path) -> None:
    assert load(folder, changed("accepted: 20, at_most_per_probe: 12", "accepted: 60, at_most_per_probe: 90"))
    assert problems(folder, changed("accepted: 20, at_most_per_probe: 12", "accepted: 61, at_most_per_probe: 90"))


def test_bad_probe_files_are_told_with_their_own_lines(folder: Path) -> None:
    (folder / "probes.jsonl").write_text('{"id": "P1", "domain": "d"}\nnot json\n')
    found = problems(folder, changed("other.jsonl", "probes.jsonl"))
    assert [problem.split(": ")[1] for problem in found] == ["phases.0.probes"] * 2 + ["evaluate.probes"] * 2
    assert f"{folder / 'probes.jsonl'}:1" in "".join(found[:2])
    assert f"{folder / 'probes.jsonl'}:2" in "".join(found[:2])


def test_good_sections_are_checked_beside_bad_ones(folder: Path) -> None:
    text = changed("train: {rank: 4}", "train: {rank: four}").replace("accepted: 20", "accepted: 99")
    assert [problem.split(": ")[1] for problem in problems(folder, text)] == ["phases.0.quota.accepted", "train.rank"]


def test_problems_in_the_environment_name_the_variable(folder: Path) -> None:
    environ = {
        "LEMFARM__SAMPLING__TEMPERATURE": "hot",
        "LEMFARM__COLOUR": "green",
        "LEMFARM__PHASES__7__SAMPLES": "1",
        "LEMFARM__RUN__NAME": "x",
        "LEMFARM__KERNEL": "{placement: user}",
        "LEMFARM__TRAIN__RANK": "[1",
    }
    assert sorted(problems(folder, environ=environ)) == [
        (
            "LEMFARM__COLOUR: colour: unknown key; known here: run, model, kernel, sampling, farm, notify, phases, "
            "train, evaluate"
        ),
        "LEMFARM__KERNEL: kernel.file: is missing",
        "LEMFARM__PHASES__7__SAMPLES: phases has no entry 7; it has 1, numbered from 0",
        "LEMFARM__RUN__NAME: run is a single value and holds no keys",
        "LEMFARM__SAMPLING__TEMPERATURE: sampling.temperature: should be a number, not 'hot'",
        (
            "LEMFARM__TRAIN__RANK: train.rank: not valid YAML: expected ',' or ']', but got '<stream end>' "
            "(while parsing a flow sequence that begins in line 1)"
        ),
    ]


def test_problems_in_flags_name_the_flag_and_what_they_created(folder: Path) -> None:
    text = changed("kernel: {file: kernel.txt}\n", "")
    found = problems(folder, text, kernel__placement="user", sampling__seed=-1, phases__0__quota__accepted=70)
    assert found == [
        "--set kernel.placement: kernel.file: is missing",
        "--set sampling.seed: sampling.seed: should be at least 0, not -1",
        (
            "--set phases.0.quota.accepted: phases.0.quota.accepted: 70 accepted samples cannot be had: 3 probes give "
            "60 samples, of which at_most_per_probe 12 leaves 36; add probes, raise the cap, or lower this"
        ),
    ]


def test_a_key_that_the_file_needs_keeps_its_place_beside_an_override(folder: Path) -> None:
    text = changed("kernel: {file: kernel.txt}", "kernel: {}")
    assert problems(folder, text, kernel__placement="user") == ["3:1: kernel.file: is missing"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n- b\n", "just text\n", "null\n"])
def test_a_file_without_keys_is_refused(folder: Path, text: str) -> None:
    (problem,) = problems(folder, text)
    assert "a run file is a mapping of keys" in problem


def test_broken_yaml_is_told_with_its_place(folder: Path) -> None:
    assert problems(folder, "run: [tiny\nmodel: {}\n")[0].startswith("2:6: not valid YAML: ")


def test_a_file_that_is_not_there_or_not_text_is_refused(folder: Path) -> None:
    from lemfarm.config import load_config
    from lemfarm.errors import ConfigError

    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        load_config(folder / "none.yaml", environ={})
    (folder / "latin.yaml").write_bytes(b"run: tiny\nmodel: caf\xe9\n")
    with pytest.raises(ConfigError, match=r"latin\.yaml:2:\d+: not UTF-8 text"):
        load_config(folder / "latin.yaml", environ={})


def test_a_byte_order_mark_does_no_harm(folder: Path) -> None:
    from lemfarm.config import load_config

    (folder / "run.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_config(folder / "run.yaml", environ={}).run == "tiny"


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_python_values_are_checked_like_yaml(folder: Path, value: float) -> None:
    (problem,) = problems(folder, farm__lease_seconds=value)
    assert problem.startswith("--set farm.lease_seconds: farm.lease_seconds: should be ")


def test_probes_of_several_files_make_one_grid(folder: Path) -> None:
    write_probes(folder / "more.jsonl", count=5, prompt="What is in a name?")
    text = changed("[probes.jsonl]", "[probes.jsonl, more.jsonl]").replace("accepted: 20", "accepted: 60")
    assert load(folder, text)
    assert "5 probes give 100 samples" in problems(folder, text.replace("accepted: 60", "accepted: 61"))[0]
