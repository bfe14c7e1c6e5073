"""`lemfarm export` as a person types it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command import Ran, lemfarm
from tests.ground import Ground
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
