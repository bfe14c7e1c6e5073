"""A whole mix: what comes of files, exports and runs, what is refused, and what the folder says of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from lemfarm.curation.export import ExportOrder, export_run
from lemfarm.curation.formats import Format
from lemfarm.curation.mixing.mixture import Mixture, mix
from lemfarm.curation.mixing.writing import write_mixture
from lemfarm.curation.sides import Side
from lemfarm.curation.training_set import freeze_training_set
from lemfarm.errors import ConfigError, InputError, NoSpace, NotFound
from lemfarm.identity import file_hash
from tests.ground import Ground
from tests.recipes import TWO, mixed, no_database, pairs, questions, recipe, row, rows, write

ONE = """\
mix: one
total: {total}
categories:
  - {{name: all, share: 1.0, sources: [{source}]}}
"""
PAIRED = TWO.replace("sources: [sums.jsonl]", "sources: [sums.jsonl], scaffold: {pure: 0.4}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with ten rows for each category of TWO."""
    for name in ("sums", "names"):
        write(tmp_path / f"{name}.jsonl", rows(name, 10))
    return tmp_path


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Ten probes of two wordings, all answered and accepted. Tests only read it."""
    made = Ground(tmp_path_factory.mktemp("farm"))
    made.write_probes(10)
    made.plan(phases__0__quota__accepted=40)
    made.finish(made.ids())
    return made


def export(ground: Ground, out: Path, format_: Format = Format.MLX) -> Path:
    export_run(ground.database, None, out, ExportOrder(format=format_), "home")
    return out


def left_out(mixture: Mixture) -> list[tuple[str, str]]:
    return [(one.kind, one.place) for one in mixture.facts.left_out]


def asked_in(folder: Path, side: str) -> set[str]:
    lines = (folder / f"{side}.jsonl").read_text(encoding="utf-8").splitlines()
    return {json.loads(line)["messages"][0]["content"] for line in lines}


# ---- how much of what


def test_every_category_gives_its_part_exactly(folder: Path) -> None:
    facts = mixed(folder).facts
    assert [(one.name, one.wanted, one.found, one.taken) for one in facts.categories] == [
        ("sums", 7, 10, 7),
        ("names", 3, 10, 3),
    ]
    assert sum(facts.rows.values()) == facts.taken == 10


def test_the_same_recipe_gives_the_same_rows_wherever_they_stand(folder: Path) -> None:
    # Given the rows of a category in two files, the lines in another order
    before = mixed(folder)
    lines = (folder / "sums.jsonl").read_text().splitlines(keepends=True)
    (folder / "a.jsonl").write_text("".join(reversed(lines[:4])))
    (folder / "b.jsonl").write_text("".join(lines[4:]))
    # When they are named in either order, then nothing about the rows changes
    for names in ("a.jsonl, b.jsonl", "b.jsonl, a.jsonl"):
        after = mixed(folder, TWO.replace("sums.jsonl", names))
        assert [(one.row, side) for one, side in after.rows] == [(one.row, side) for one, side in before.rows]
    assert questions(mixed(folder, seed=7)) != questions(before)


def test_a_shortage_is_refused_with_the_mix_that_can_be_had(folder: Path) -> None:
    write(folder / "names.jsonl", [*rows("names", 2), row("sums 1?"), row("names 0?")])
    with pytest.raises(ConfigError) as told:
        mixed(folder)
    short, reachable, why = told.value.problems
    assert ":5:5: categories.1: names wants 3 rows, its sources have 2" in short
    assert "8 of 10 rows can be had: sums 6, names 2." in reachable
    assert why.startswith("2 entries of the sources were left out") and "the same row stands at" in why


def test_a_smaller_mix_keeps_the_shares(folder: Path) -> None:
    write(folder / "names.jsonl", rows("names", 2))
    facts = mixed(folder, when_short="smaller").facts
    assert [(one.wanted, one.taken) for one in facts.categories] == [(7, 6), (3, 2)]
    assert (facts.wanted, facts.taken) == (10, 8)


def test_no_smaller_mix_is_made_of_a_category_without_a_row(folder: Path) -> None:
    write(folder / "names.jsonl", rows("sums", 10))
    with pytest.raises(ConfigError, match="no mix with all categories can be had"):
        mixed(folder, when_short="smaller")


# ---- pairs


def test_pairs_must_be_spoken_of_and_nothing_else_may(folder: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"4:5: categories.0: `scaffold` is about pairs, and no source of sums has any"
    ):
        mixed(folder, PAIRED)
    write(folder / "sums.jsonl", [*rows("sums", 3), *pairs(10)])
    with pytest.raises(ConfigError, match=r"categories.0: sums.jsonl:4 is a pair, so sums must say `scaffold`"):
        mixed(folder)


def test_pairs_are_taken_in_the_forms_that_the_recipe_says(folder: Path) -> None:
    write(folder / "sums.jsonl", pairs(10))
    facts = mixed(folder, PAIRED, total=10).facts
    assert facts.categories[0].forms == {"pure": 3, "explained": 4}
    assert facts.categories[1].forms == {}


def test_both_forms_of_a_pair_stand_on_one_side(folder: Path) -> None:
    write(folder / "pairs.jsonl", pairs(40))
    text = ONE.format(total=80, source="pairs.jsonl").replace("share: 1.0", "share: 1.0, scaffold: both")
    found = mixed(folder, text, valid=0.3, test=0.3)
    for side in Side:
        asked = questions(found, side)
        assert asked and {one.replace("pure", "explained") for one in asked} <= set(asked)
    assert found.facts.categories[0].forms == {"pure": 40, "explained": 40}


# ---- lines and files


def test_a_line_that_is_no_row_is_left_out_and_named(folder: Path) -> None:
    with (folder / "sums.jsonl").open("a") as file:
        file.write('{"prompt": "One?"}\nnot JSON\n')
    found = mixed(folder)
    assert found.facts.taken == 10
    assert sorted(left_out(found)) == [("no row", "sums.jsonl:11"), ("no row", "sums.jsonl:12")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "there is no row in it"),
        (b'{"text": "One? Two."}\n', "sums.jsonl:1: no answer"),
        (b'{"prompt": "\xff"}\n', "cannot be read"),
    ],
)
def test_a_file_without_a_row_is_refused(folder: Path, content: bytes, said: str) -> None:
    (folder / "sums.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=said):
        mixed(folder)


# ---- exports and trainings


@pytest.mark.parametrize("format_", [Format.MLX, Format.CHAT, Format.LEM])
def test_rows_of_an_export_keep_their_sides_and_their_samples(ground: Ground, tmp_path: Path, format_: Format) -> None:
    out = export(ground, tmp_path / "set", format_)
    found = mixed(tmp_path, ONE.format(total=10, source="set"))
    manifest = json.loads((out / "manifest.json").read_text())
    of = {sample: side for side in map(str, Side) for sample in manifest[side]}
    assert len(found.rows) == 10
    assert all(of[one.item.id] == side for one, side in found.rows)


def test_what_an_export_tests_with_does_not_train_by_way_of_a_file(ground: Ground, tmp_path: Path) -> None:
    # Given a test question of an export, once more in a file of one's own, with another answer
    asked = sorted(asked_in(export(ground, tmp_path / "set"), "test"))
    assert asked
    write(tmp_path / "own.jsonl", [row(question, "Another answer.") for question in asked])
    text = ONE.format(total=len(asked) + 1, source="set, own.jsonl")
    # When all of it is mixed, then it is tested with here too
    found = mixed(tmp_path, text.replace(f"total: {len(asked) + 1}", "total: 40"), when_short="smaller")
    own = [side for one, side in found.rows if one.item.place.startswith("own.jsonl")]
    assert own == [Side.TEST] * len(asked)


def test_two_exports_that_disagree_give_no_training_row_of_a_test_question(ground: Ground, tmp_path: Path) -> None:
    # Given a second set, in which a test question of the first one trains
    question = sorted(asked_in(export(ground, tmp_path / "set"), "test"))[0]
    write(tmp_path / "other.jsonl", [row(question, "Another answer."), row("Something else?")])
    (tmp_path / "other").mkdir()
    second = mixed(tmp_path, ONE.format(total=2, source="other.jsonl"), valid=0, test=0)
    write_mixture(second, tmp_path / "other")
    # When both are mixed, then that row is left out and named
    found = mixed(tmp_path, ONE.format(total=40, source="set, other"), when_short="smaller")
    assert [kind for kind, _ in left_out(found) if kind == "leak"] == ["leak"]
    assert question not in questions(found, Side.TRAIN)
    assert "Something else?" in questions(found, Side.TRAIN)


def test_what_a_training_read_can_be_mixed(ground: Ground, tmp_path: Path) -> None:
    phase = ground.value("SELECT id FROM phase")
    config = ground.config(phases__0__quota__accepted=40)
    frozen = freeze_training_set(ground.database, phase, config, config.phases[0], tmp_path / "sets", "home")
    found = mixed(tmp_path, ONE.format(total=10, source=frozen.folder))
    assert {one.item.id for one, side in found.rows if side is Side.TRAIN} <= set(frozen.manifest.train)


def test_a_dataset_that_was_changed_or_never_finished_is_refused(ground: Ground, tmp_path: Path) -> None:
    out = export(ground, tmp_path / "set")
    with (out / "train.jsonl").open("a") as file:
        file.write(json.dumps(row("One?")) + "\n")
    with pytest.raises(InputError, match=r"its files differ from manifest\.json"):
        mixed(tmp_path, ONE.format(total=10, source="set"))
    (out / "manifest.json").unlink()
    with pytest.raises(InputError, match="so this is no finished dataset"):
        mixed(tmp_path, ONE.format(total=10, source="set"))


def test_rows_that_cannot_be_told_apart_are_refused(ground: Ground, tmp_path: Path) -> None:
    export(ground, tmp_path / "set", Format.TEXT)
    with pytest.raises(InputError, match=r"rows of text cannot be mixed\. Export it as mlx, chat or lem"):
        mixed(tmp_path, ONE.format(total=10, source="set"))


# ---- runs


def test_a_run_gives_what_its_export_has_on_the_same_sides(ground: Ground, tmp_path: Path) -> None:
    out = export(ground, tmp_path / "set")
    manifest = json.loads((out / "manifest.json").read_text())
    text = ONE.format(total=40, source="{run: tiny, phase: first}")
    found = mix(recipe(tmp_path, text, when_short="smaller"), lambda: ground.database)
    of = {sample: side for side in map(str, Side) for sample in manifest[side]}
    assert found.facts.taken == found.facts.categories[0].found > 10
    assert all(of[one.item.id] == side for one, side in found.rows)
    assert {one.item.probe for one, _ in found.rows} <= {f"P{number}" for number in range(10)}


@pytest.mark.parametrize(
    ("source", "said"),
    [("{run: other}", "no run 'other'"), ("{run: tiny, phase: ninth}", "no phase 'ninth' in run tiny; it has first")],
)
def test_a_run_that_is_not_there_is_named(ground: Ground, tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(NotFound, match=said):
        mix(recipe(tmp_path, ONE.format(total=1, source=source)), lambda: ground.database)


# ---- the folder


def test_the_folder_says_what_is_in_it_and_where_each_row_came_from(folder: Path) -> None:
    write(folder / "names.jsonl", [*rows("names", 10), row("sums 0?")])
    found = mixed(folder)
    written = write_mixture(found, folder / "out", licence="cc-by-4.0")
    manifest: dict[str, Any] = json.loads((folder / "out" / "manifest.json").read_text())
    for side, name in written.files.items():
        lines = (folder / "out" / name).read_text().splitlines()
        assert len(lines) == len(manifest[side]) == len(manifest["rows"][side]) == found.facts.rows[side]
        assert manifest["files"][name] == file_hash(folder / "out" / name)
        for line, origin in zip(lines, manifest["rows"][side], strict=True):
            file, _, number = origin["source"].partition(":")
            source = json.loads((folder / file).read_text().splitlines()[int(number) - 1])
            assert json.loads(line)["messages"][0]["content"] == source["prompt"]
            assert origin["category"] == file.removesuffix(".jsonl")
    card = json.loads((folder / "out" / "card.json").read_text())
    assert [(one["name"], one["taken"], one["share"]) for one in card["categories"]] == [
        ("sums", 7, 0.7),
        ("names", 3, 0.3),
    ]
    page = (folder / "out" / "README.md").read_text()
    assert "| sums | 7 | 10 | 7 | 70.0% |" in page and "license: cc-by-4.0" in page
    assert "names.jsonl:11: the same row stands at sums.jsonl:1 (sums)" in page
    assert str(folder) not in page + json.dumps(manifest) + json.dumps(card)


def test_the_same_mix_has_the_same_hash_and_another_one_another(folder: Path) -> None:
    first = write_mixture(mixed(folder), folder / "out")
    again = write_mixture(mixed(folder), folder / "out")
    other = write_mixture(mixed(folder, seed=7), folder / "out")
    assert first == again
    assert other.hash != first.hash


def test_a_mix_can_be_mixed_again(folder: Path) -> None:
    write_mixture(mixed(folder, valid=0.3, test=0.0), folder / "out", Format.CHAT)
    first = mixed(folder, valid=0.3, test=0.0)
    again = mixed(folder, ONE.format(total=10, source="out"))
    assert {side: set(questions(again, side)) for side in Side} == {side: set(questions(first, side)) for side in Side}


def test_a_folder_with_something_else_and_one_that_cannot_be_made_are_left_alone(folder: Path) -> None:
    with pytest.raises(InputError, match="holds something that is no export"):
        write_mixture(mixed(folder), folder)
    with pytest.raises(NoSpace, match="cannot be written"):
        write_mixture(mixed(folder), folder / "sums.jsonl" / "out")


def test_no_database_is_opened_without_a_run(folder: Path) -> None:
    assert mix(recipe(folder), no_database).facts.taken == 10
