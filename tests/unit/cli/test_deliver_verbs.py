"""`lemfarm fuse`, `gguf`, `publish`: from a promoted adapter to files that others use, and what is told on the way."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import Ran, lemfarm
from tests.finished_run import FinishedRun
from tests.hub import TOKEN, hub
from tests.tiny_model import make_tiny_llama

pytestmark = pytest.mark.mlx

Say = Callable[..., Ran]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    place = tmp_path_factory.mktemp("farm")
    made = FinishedRun(place, make_tiny_llama(place / "llama"))
    adapter = made.train()
    made.measure("", [10.0, 11.0])
    made.measure(adapter, [12.0, 12.0])
    return made


@pytest.fixture
def say(run: FinishedRun, capsys: pytest.CaptureFixture[str]) -> Say:
    farm = ("--home", run.home.root, "--database", run.ground.database.url)
    return lambda *words: lemfarm(capsys, *words, *farm)


@pytest.fixture(scope="module")
def fused(run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `lemfarm fuse` makes of the run."""
    from lemfarm.training.chosen import choose_adapter
    from lemfarm.training.fuse import fuse

    folder = tmp_path_factory.mktemp("fused") / "model"
    chosen = choose_adapter(run.ground.database, None)
    fuse(chosen.origin, run.model, run.home.adapters / chosen.id, folder, hear=lambda said: None)
    return folder


def test_a_run_becomes_a_folder_and_is_compared(say: Say, run: FinishedRun, tmp_path: Path) -> None:
    said = say("fuse", "tiny", "--out", tmp_path / "model")
    assert (said.code, said.out) == (0, f"{tmp_path / 'model'}\n")
    assert "equal to the base model with the adapter" in said.err
    assert run.adapters[0] in said.err


def test_a_run_becomes_one_gguf_file_and_nothing_else(say: Say, tmp_path: Path) -> None:
    made = say("gguf", "tiny", "--out", tmp_path / "tiny.gguf", "--json").data
    assert (made["kind"], made["through"], made["tensors"]) == ("gguf", "mlx-lm", 21)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.gguf"]


def test_a_dry_run_prints_the_page_and_the_files_and_needs_no_hub(say: Say, fused: Path) -> None:
    said = say("publish", fused, "--to", "ours/tiny", "--dry-run")
    assert said.code == 0
    assert said.out.startswith("---\n") and "| baseline | held out | 2 |" in said.out
    for words in ("model.safetensors", "lemfarm.json", "nothing was sent", "name it with --license"):
        assert words in said.err


def test_a_dry_run_as_json_has_the_page_and_the_sizes(say: Say, fused: Path) -> None:
    found = say("publish", fused, "--to", "ours/tiny", "--dry-run", "--license", "mit", "--json").data
    assert found["address"] is None
    assert found["files"]["model.safetensors"] == (fused / "model.safetensors").stat().st_size
    assert "license: mit" in found["card"]


def test_an_adapter_is_sent_with_a_page_of_ones_own(
    say: Say, run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text("---\nlicense: mit\n---\n# Ours\n")
    with hub() as there:
        monkeypatch.setenv("HF_ENDPOINT", there.address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        said = say("publish", "tiny", "--to", "ours/tiny", "--card", page)
    assert (said.code, said.out.strip()) == (0, f"{there.address}/ours/tiny")
    assert there.files["README.md"] == page.read_bytes()
    assert "adapters.safetensors" in there.files
    assert TOKEN not in said.out + said.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("fuse", "nobody", "--out", "x"), "there is no run 'nobody'"),
        (("fuse", "--out", "."), "exists already"),
        (("fuse", "--phase", "ninth", "--out", "x"), "has no adapter"),
        (("gguf", "nobody", "--out", "x.gguf"), "there is no run 'nobody'"),
        (("gguf", "tiny", "--out", "no/where.gguf"), "there is no folder"),
        (("publish", "tiny", "--to", "tiny", "--dry-run"), "OWNER/NAME"),
        (("publish", ".", "--to", "a/b", "--dry-run"), "did not make this folder"),
        (("publish", ".", "--to", "a/b", "--phase", "first"), "leave --phase out"),
        (("publish", "tiny", "--to", "a/b", "--card", "none.md"), "--card none.md: cannot be read"),
    ],
)
def test_bad_input_is_told_in_a_line(
    words: tuple[str, ...], says: str, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = say(*words)
    assert said.code == 2
    assert says in said.err
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []
