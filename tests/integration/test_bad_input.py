"""What a person can get wrong, and what can be missing: each ends with its exit code and one message that names the
place and the next step; nothing is started for nothing, nothing is lost."""

import contextlib
import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lemfarm import __version__, valkey
from lemfarm.config import load_config
from lemfarm.database import open_database
from lemfarm.local_workers import living_workers
from lemfarm.models import find_model
from producer.course import Course
from producer.plan import apply_plan
from tests.command import Ran, lemfarm
from tests.lemfarm_process import Site
from tests.tiny_model import make_tiny_model, words

BAD, AWAY = 2, 4
NOBODY = 65534

MLX_RUN = """\
run: tiny
model: {{engine: mlx, path: {model}}}
sampling: {{max_tokens: 16}}
phases:
  - name: only
    probes: [probes.jsonl]
    samples: 1
    quota: {{accepted: 1, stop_when_full: false}}
"""

Say = Callable[..., Ran]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as made:
        yield made


@pytest.fixture
def say(site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    """A verb in this process; an error that nobody expected comes out of it as what it is."""
    for name in [name for name in os.environ if name.startswith("LEMFARM_")]:
        monkeypatch.delenv(name)

    def run(*words: object) -> Ran:
        return lemfarm(capsys, *words, "--home", site.home.root)

    return run


def said(ran: Ran, code: int, *parts: object) -> None:
    """It ended so, and its message names all this."""
    assert ran.code == code, ran.err
    missing = [str(part) for part in parts if str(part) not in ran.err]
    assert not missing, f"{missing} not in:\n{ran.err}"
    assert "Traceback" not in ran.out + ran.err


def nothing_started(site: Site) -> None:
    """No run, no service, no worker."""
    assert site.rows("SELECT name FROM run") == []
    assert not valkey.is_running(site.home)
    assert living_workers(site.home) == []


def write_probe_lines(site: Site, *lines: object) -> Path:
    path = site.folder / "probes.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ---- probes and kernels


GOOD = {"id": "A", "domain": "d", "prompt": "Why?"}


@pytest.mark.parametrize(
    ("lines", "line", "what"),
    [
        ([GOOD, "{not json"], 2, "not JSON"),
        (["id: A, prompt: why"], 1, "not JSON"),
        ([GOOD, {"id": "B", "domain": "d"}], 2, "B has no prompt"),
        ([GOOD, {"id": "B", "prompt": " "}], 2, "is empty"),
        ([GOOD, {**GOOD, "prompt": "How?"}], 2, "with different text: give one of them another id"),
    ],
)
def test_a_probe_file_that_cannot_be_used(site: Site, say: Say, lines: list[object], line: int, what: str) -> None:
    path = write_probe_lines(site, *lines)
    said(say("run", site.run_file), BAD, f"{path}:{line}", what)
    nothing_started(site)


def test_every_problem_of_a_probe_file_is_told_at_once(site: Site, say: Say) -> None:
    path = write_probe_lines(site, "{", {"id": "B"}, {"prompt": "Why?"})
    said(say("run", site.run_file), BAD, f"{path}:1", f"{path}:2", f"{path}:3")


def test_a_probe_file_without_probes(site: Site, say: Say) -> None:
    path = write_probe_lines(site)
    said(say("run", site.run_file), BAD, f"{path}: no probes")
    nothing_started(site)


def test_a_probe_file_that_is_not_there(site: Site, say: Say) -> None:
    (site.folder / "probes.jsonl").unlink()
    said(say("run", site.run_file), BAD, site.run_file, "phases.0.probes", "probes.jsonl")
    nothing_started(site)


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe\x00\x01"])
def test_a_kernel_that_cannot_be_read(site: Site, say: Say, content: bytes | None) -> None:
    kernel = site.folder / "kernel.txt"
    if content is not None:
        kernel.write_bytes(content)
    site.run_file.write_text(site.run_file.read_text() + "kernel: {file: kernel.txt}\n")
    said(say("run", site.run_file), BAD, kernel)
    nothing_started(site)


def test_a_run_file_that_is_not_there_or_is_none(site: Site, say: Say) -> None:
    said(say("run", site.folder / "none.yaml"), BAD, "none.yaml")
    (site.folder / "list.yaml").write_text("- 1\n")
    said(say("run", site.folder / "list.yaml"), BAD, "list.yaml")
    said(say("run", site.folder), BAD, site.folder)


# ---- models


def write_mlx_run(site: Site, model: object) -> None:
    site.run_file.write_text(MLX_RUN.format(model=model))
    write_probe_lines(site, GOOD)


def fake_model(folder: Path, *, weights: bytes = b"weights", model_type: str = "gemma3_text") -> Path:
    """A folder that looks like a model from outside."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_a_model_folder_without_weights(site: Site, say: Say) -> None:
    model = fake_model(site.folder / "model")
    (model / "model.safetensors").unlink()
    write_mlx_run(site, model)
    said(say("run", site.run_file), BAD, model, "no weights", "lemfarm model convert")
    nothing_started(site)


def test_a_model_folder_that_is_none(site: Site, say: Say) -> None:
    (site.folder / "empty").mkdir()
    write_mlx_run(site, site.folder / "empty")
    said(say("run", site.run_file), BAD, site.folder / "empty", "no config.json")
    write_mlx_run(site, "./nowhere")
    said(say("run", site.run_file), BAD, site.folder / "nowhere", "model.path")
    nothing_started(site)


def test_a_model_of_an_unsupported_architecture(site: Site, say: Say) -> None:
    model = fake_model(site.folder / "model", model_type="perceptron")
    write_mlx_run(site, model)
    said(say("run", site.run_file), BAD, model, "perceptron", "not supported by the installed mlx-lm")
    nothing_started(site)


def test_weights_that_are_no_weights(site: Site) -> None:
    """What only loading shows is told by the worker, and its message reaches the person who started the run."""
    model = fake_model(site.folder / "model", weights=b"no safetensors at all")
    write_mlx_run(site, model)
    ran = site.run("run", site.run_file)
    said(ran, BAD, model)
    assert living_workers(site.home) == []
    assert not valkey.is_running(site.home)


@pytest.fixture
def offline(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, and nothing in the hub's cache."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(site.folder / "hub"))
    monkeypatch.setenv("HF_HUB_CACHE", str(site.folder / "hub"))


@pytest.mark.usefixtures("offline")
def test_a_hub_model_without_network(site: Site, say: Say) -> None:
    write_mlx_run(site, "owner/model-that-is-not-here")
    said(say("run", site.run_file), BAD, "owner/model-that-is-not-here", "`lemfarm model get owner/model-that-is-not")
    nothing_started(site)


@pytest.mark.usefixtures("offline")
def test_fetching_a_hub_model_without_network(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said(lemfarm(capsys, "model", "get", "owner/model-that-is-not-here"), AWAY, "owner/model", "Check the network")


def test_weights_that_differ_from_the_runs(site: Site, say: Say) -> None:
    # Given a run that began with a folder of weights
    model = fake_model(site.folder / "model")
    write_mlx_run(site, model)
    began = plan(site)
    # When the folder holds others
    fake_model(model, weights=b"other weights")
    # Then the run is refused with both, and nothing of it is changed
    before = site.rows("SELECT * FROM sample")
    found = find_model(str(model), home=site.home).content_hash
    said(say("run", site.run_file), BAD, model, began, found, "Put the old files back")
    assert site.rows("SELECT * FROM sample") == before
    assert not valkey.is_running(site.home)


def plan(site: Site, model: Path | None = None) -> str:
    """Plan the run as `lemfarm run` does, without starting anything; returns the hash of the model."""
    config = load_config(site.run_file, environ={})
    name = config.model.path
    found = find_model(name, home=site.home, mapping={name: model} if model else {})
    site.home.ensure()
    database = open_database(f"sqlite:///{site.home.database}", migrate=True)
    key = f"hub:{name}" if model else found.content_hash
    apply_plan(database, Course(config, key), found=found, limit=None, trains=True)
    database.close()
    return found.content_hash


def test_a_worker_with_other_weights_than_the_run_refuses_and_names_both(site: Site) -> None:
    # Given a farm whose run began with some weights of a hub model
    write_mlx_run(site, "owner/model")
    began = plan(site, fake_model(site.folder / "model"))
    valkey.start(site.home)
    # When a worker maps that model to a folder with others
    other = fake_model(site.folder / "other", weights=b"other weights")
    ran = site.run("worker", "--model", f"owner/model={other}", "--name", "mac-2")
    # Then it refuses, saying why, here and to everyone who asks for workers
    said(ran, BAD, began, other, "lemfarm worker --model owner/model=FOLDER")
    assert site.rows("SELECT state, name FROM worker") == [("refused", "mac-2")]
    assert began in site.rows("SELECT message FROM worker")[0][0]
    assert site.count("state = 'pending'") == 1, "its tasks are left to others"


# ---- services


def test_a_broker_that_is_down(site: Site, say: Say) -> None:
    port = closed_port()
    ran = say("run", site.run_file, "--broker", f"redis://farm:secret@127.0.0.1:{port}/0")
    said(ran, AWAY, f"127.0.0.1:{port}", "does not answer", "--broker")
    assert "secret" not in ran.err
    nothing_started(site)


def test_a_database_that_is_down(site: Site, say: Say) -> None:
    port = closed_port()
    for verb in (("run", site.run_file), ("status",), ("samples", "list"), ("verify",)):
        ran = say(*verb, "--database", f"postgresql://farm:secret@127.0.0.1:{port}/farm")
        said(ran, AWAY, f"127.0.0.1:{port}", "--database names another")
        assert "secret" not in ran.err
    assert not valkey.is_running(site.home)


def test_urls_that_are_none(site: Site, say: Say) -> None:
    said(say("run", site.run_file, "--broker", "localhost:6379"), BAD, "localhost:6379", "redis://")
    said(say("run", site.run_file, "--database", "mysql://x/y"), BAD, "mysql://x/y", "postgresql://")
    nothing_started(site)


def test_a_database_of_a_newer_schema(site: Site, say: Say) -> None:
    site.home.ensure()
    database = open_database(f"sqlite:///{site.home.database}", migrate=True)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    for verb in (("run", site.run_file), ("status",), ("pause",)):
        said(say(*verb), BAD, "9999", __version__, "Update lemfarm")
    assert not valkey.is_running(site.home)


def test_a_file_that_is_no_database(site: Site, say: Say) -> None:
    site.home.ensure()
    site.home.database.write_text("These are my notes.\n" * 50)
    said(say("run", site.run_file), BAD, site.home.database, "not a lemfarm database")
    said(say("status"), BAD, "not a lemfarm database")
    assert site.home.database.read_text().startswith("These are my notes.")


def test_a_farm_in_which_nothing_was_started_yet(site: Site, say: Say) -> None:
    for verb in ("status", "pause", "verify"):
        said(say(verb), BAD, "Start a run")


def test_a_run_of_another_lemfarm(site: Site, say: Say) -> None:
    # Given a run that another version began
    write_mlx_run(site, fake_model(site.folder / "model"))
    plan(site)
    database = open_database(f"sqlite:///{site.home.database}")
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE run SET lemfarm_version = '9.9.9'")
    database.close()
    # Then this one goes on with it neither as a producer nor as a worker, and names both
    said(say("run", site.run_file), BAD, "9.9.9", __version__, "tiny")
    valkey.start(site.home)
    said(site.run("worker"), BAD, "9.9.9", __version__)
    assert site.count("state = 'pending'") == 1


# ---- places


def test_a_home_that_cannot_be(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    (site.folder / "file").write_text("")
    for home in (site.folder / "file", site.folder / "file" / "home"):
        said(lemfarm(capsys, "run", site.run_file, "--home", home), AWAY, home, "LEMFARM_HOME")


def test_a_home_that_may_not_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    """Root may write everywhere, so this is tried as somebody else, in a folder that everybody can reach."""
    with tempfile.TemporaryDirectory(prefix="lemfarm-test-") as folder, Site(Path(folder)) as site:
        site.home.root.mkdir(mode=0o555)
        Path(folder).chmod(0o755)
        command = ("run", site.run_file, "--home", site.home.root / "file")
        assert lemfarm(capsys, *command, "--broker", "nothing://").code == BAD  # imports what somebody may not read
        with somebody():
            ran = lemfarm(capsys, "run", site.run_file, "--home", site.home.root)
            status = lemfarm(capsys, "status", "--home", site.home.root)
        said(ran, AWAY, site.home.root, "LEMFARM_HOME")
        said(status, AWAY, site.home.database)
        assert list(site.home.root.iterdir()) == []


@contextlib.contextmanager
def somebody() -> Iterator[None]:
    """Be a user without rights for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


# ---- prompts


@pytest.mark.mlx
def test_a_prompt_longer_than_the_context_fails_alone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a model with a short context, and one prompt that does not fit into it
    model = make_tiny_model(site.folder / "model", context=128)
    write_mlx_run(site, model)
    write_probe_lines(site, GOOD, {"id": "LONG", "domain": "d", "prompt": words(400)}, {**GOOD, "id": "B"})
    # When the run is started
    ran = site.run("run", site.run_file)
    # Then the others are done, and that sample says why it is not and what to do
    assert "Traceback" not in ran.err + ran.out
    rows = site.rows(
        "SELECT p.name, s.state, s.error_class, s.reason, s.failures FROM sample s JOIN probe p ON p.id = s.probe_id"
    )
    failed = {row[0]: row[1:] for row in rows}
    assert (failed["A"][0], failed["LONG"][:2]) == ("done", ("failed", "prompt_too_long")), site.story()
    assert "128" in failed["LONG"][2]
    assert failed["LONG"][3] == 1, "it is tried once"
    assert ran.code == 0, ran.err
