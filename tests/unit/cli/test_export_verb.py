"""`lemfarm export` as a person types it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command import Ran, lemfarm
from tests.ground import Ground
from tests.hub import TOKEN, Hub, hub
from tests.tiny_model import make_tiny_model

Say = Callable[..., Ran]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Six probes, all of whose answers were accepted."""
    made = Ground(tmp_path_factory.mktemp("farm"))
    made.write_probes(6)
    made.plan()
    made.finish(made.ids())
    yield made
    made.database.close()


@pytest.fixture
def say(ground: Ground, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: object) -> Ran:
        where = ("--home", ground.home.root, "--database", ground.database.url)
        return lemfarm(capsys, "export", *words, *where)

    return run


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield found


def texts(folder: Path) -> list[str]:
    return [json.loads(line)["text"] for line in (folder / "train.jsonl").read_text().splitlines()]


def _set_config(ground: Ground, config: object) -> None:
    ground.execute("UPDATE run SET config = :config", config=json.dumps(config))


def test_it_says_what_it_wrote_and_where(say: Say, ground: Ground) -> None:
    ran = say("tiny")
    folder = ground.home.exports / "tiny" / "mlx"
    assert (ran.code, str(folder) in ran.out) == (0, True)
    assert "still active" in ran.err and "train.jsonl" in ran.out
    assert {path.name for path in folder.iterdir()} >= {"README.md", "card.json", "manifest.json", "train.jsonl"}


def test_the_same_for_programs(say: Say, tmp_path: Path) -> None:
    data = say("tiny", "--out", tmp_path / "set", "--json").data
    assert (data["kind"], sum(data["rows"].values())) == ("export", 10)
    assert data["export"]["hash"] == json.loads((tmp_path / "set" / "manifest.json").read_text())["hash"]


def test_texts_are_in_the_words_of_the_model_where_it_is_here(say: Say, ground: Ground, tmp_path: Path) -> None:
    gemma = say("--format", "text", "--out", tmp_path / "gemma")
    assert gemma.code == 0 and "Gemma's words" in gemma.err
    assert texts(tmp_path / "gemma")[0].startswith("<bos><start_of_turn>user\n")
    # Given that the run's model lies on this machine
    model = make_tiny_model(tmp_path / "model")
    before = ground.run.config
    _set_config(ground, before | {"model": {"engine": "mlx", "path": str(model)}})
    own = say("--format", "text", "--out", tmp_path / "own")
    _set_config(ground, before)
    assert own.code == 0 and "Gemma" not in own.err
    assert texts(tmp_path / "own") == texts(tmp_path / "gemma"), "this model has Gemma's template"
    assert "the model's own chat template" in (tmp_path / "own" / "README.md").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--format", "csv"), "--format csv: one of mlx, chat, text, lem, parquet"),
        (("--sign", "twice"), "--sign twice: one of none, kernel, sandwich"),
        (("--sign", "sandwich"), "--signature"),
        (("--sign", "sandwich", "--signature", "/nowhere"), "/nowhere: cannot be read as a signature"),
        (("--phase", "ninth"), "no phase 'ninth'"),
        (("other",), "no run 'other'"),
        (("--out", __file__), "is not a folder"),
        (("--out", Path(__file__).parent), "holds something that is no export"),
    ],
)
def test_what_is_wrong_is_named(say: Say, words: tuple[object, ...], said: str) -> None:
    ran = say(*words)
    assert ran.code == 2 and said in ran.err, ran.err


def test_a_folder_that_cannot_be_made_is_named(say: Say, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = say("--out", tmp_path / "file" / "set")
    assert ran.code != 0 and "cannot be written" in ran.err and "Traceback" not in ran.err


def test_it_goes_to_the_hub_as_a_dataset_in_one_commit(say: Say, there: Hub, tmp_path: Path) -> None:
    out = tmp_path / "set"
    ran = say("tiny", "--out", out, "--to", "ours/tiny-answers", "--license", "cc-by-4.0", "--private")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, f"{there.address}/datasets/ours/tiny-answers")
    (created,) = there.created
    assert (created["type"], created["visibility"], there.kinds) == ("dataset", "private", {"datasets"})
    assert there.files == {path.name: path.read_bytes() for path in out.iterdir()}
    assert b"license: cc-by-4.0" in there.files["README.md"] and b"split: train" in there.files["README.md"]
    made = json.loads(there.files["manifest.json"])["hash"]
    assert there.said == [f"Dataset {made} of run tiny"]
    assert TOKEN not in ran.out + ran.err


def test_what_else_lies_in_the_folder_stays_here(say: Say, there: Hub, tmp_path: Path) -> None:
    say("tiny", "--out", tmp_path / "set")
    (tmp_path / "set" / "letter.txt").write_text("dear")
    assert say("tiny", "--out", tmp_path / "set", "--to", "ours/tiny", "--license", "mit").code == 0
    assert "letter.txt" not in there.files and "train.jsonl" in there.files


def test_a_dry_run_writes_the_folder_names_the_files_and_sends_nothing(say: Say, there: Hub, tmp_path: Path) -> None:
    ran = say("tiny", "--out", tmp_path / "set", "--to", "ours/tiny", "--dry-run")
    assert ran.code == 0 and (tmp_path / "set" / "manifest.json").is_file()
    for words in ("train.jsonl", "README.md", "nothing was sent", "name it with --license"):
        assert words in ran.err, ran.err
    data = say("tiny", "--out", tmp_path / "set", "--to", "ours/tiny", "--dry-run", "--json").data
    assert (data["hub"]["repo"], data["hub"]["address"]) == ("ours/tiny", None)
    assert data["hub"]["files"]["train.jsonl"] == (tmp_path / "set" / "train.jsonl").stat().st_size
    assert there.created == [] and there.files == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--private",), "--private says how to send: add --to OWNER/NAME"),
        (("--dry-run",), "--dry-run says how to send"),
        (("--to", "tiny", "--license", "mit"), "write OWNER/NAME"),
        (("--to", "a/b c", "--license", "mit"), "the hub takes no such name"),
        (("--to", "ours/tiny"), "name it with --license"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is_written(
    say: Say, there: Hub, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    ran = say("tiny", "--out", tmp_path / "set", *words)
    assert ran.code == 2 and said in ran.err, ran.err
    assert not (tmp_path / "set").exists() and there.created == []


def test_without_a_token_nothing_is_written(
    say: Say, there: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    ran = say("tiny", "--out", tmp_path / "set", "--to", "ours/tiny", "--license", "mit")
    assert ran.code == 2 and "there is no token for the hub" in ran.err
    assert not (tmp_path / "set").exists() and there.created == []


@pytest.mark.parametrize(("status", "code", "said"), [(403, 2, "may not write there"), (501, 4, "the hub fails")])
def test_a_hub_that_refuses_leaves_the_folder_for_another_try(
    say: Say, there: Hub, tmp_path: Path, status: int, code: int, said: str
) -> None:
    there.refuse = status
    ran = say("tiny", "--out", tmp_path / "set", "--to", "ours/tiny", "--license", "mit")
    assert ran.code == code and said in ran.err, ran.err
    assert (tmp_path / "set" / "manifest.json").is_file()
    assert TOKEN not in ran.out + ran.err
