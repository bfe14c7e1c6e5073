"""A run whose model is behind an endpoint: a real `mlx_lm.server`, and one that misbehaves on purpose."""

import itertools
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lemfarm.connections import free_port
from lemfarm.database import open_database
from producer.verify import verify_run
from tests.farm import ROOT, end
from tests.lemfarm_process import Site
from tests.unit.engines.openai_endpoint import (
    Behaviour,
    Endpoint,
    answer,
    endpoint,
    hang_up_at_once,
    hang_up_midway,
    raw,
    status,
)

KEY = "sk-a-key-that-nobody-may-see"
STARTING_SECONDS = 120.0

RUN_FILE = """\
run: tiny
model: {{engine: openai, base_url: '{url}', model: {model}, api_key_env: HOUSE_KEY, slots: 4{more}}}
kernel: {{file: kernel.txt, placement: system}}
sampling: {{max_tokens: 24}}
farm: {{lease_seconds: 3}}
phases:
  - name: only
    probes: [probes.jsonl]
    samples: 1
    gates: [{{min_chars: 5}}]
    quota: {{accepted: {accepted}, enough: 1, stop_when_full: false, when_exhausted: train}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path, {"HOUSE_KEY": KEY}) as made:
        (tmp_path / "kernel.txt").write_text("Be kind, and say why.\n")
        yield made


@pytest.fixture
def house() -> Iterator[Endpoint]:
    with endpoint() as made:
        yield made


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an mlx_lm.server with the demonstration's model."""
    port = free_port()
    log = tmp_path_factory.mktemp("server") / "server.log"
    command = [sys.executable, "-m", "mlx_lm", "server", "--model", str(ROOT / "demo" / "model"), "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1"],
            env=os.environ | {"MLX_DISABLE_COMPILE": "1", "HF_HUB_OFFLINE": "1"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        if not _answers(process, f"http://127.0.0.1:{port}/health"):
            pytest.skip(f"mlx_lm.server cannot start here: {log.read_text(errors='replace')[-500:]}")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        end(process)


def _answers(process: "subprocess.Popen[bytes]", url: str) -> bool:
    deadline = time.monotonic() + STARTING_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return True
        except OSError:
            time.sleep(0.1)
    return False


def _write(site: Site, url: str, *, model: str = "default_model", accepted: int = 20, more: str = "") -> None:
    site.run_file.write_text(RUN_FILE.format(url=url, model=model, accepted=accepted, more=more))


def _assert_whole(site: Site, samples: int) -> None:
    """Every sample is done, every invariant holds, and the key lies nowhere in the home."""
    assert site.count("state = 'done'") == site.count() == samples, site.story()
    database = open_database(f"sqlite:///{site.home.database}")
    assert [finding for finding in verify_run(database, "tiny") if not finding.holds] == []
    database.close()
    _assert_no_key(site)


def _assert_no_key(site: Site) -> None:
    files = [path for path in site.folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


@pytest.mark.mlx
def test_a_run_on_a_real_server_ends_done_and_says_of_every_sample_who_answered(site: Site, served: str) -> None:
    _write(site, served)
    done = site.run("run", site.run_file, "--workers", 1)
    assert done.code == 0, done.err + site.story()
    _assert_whole(site, 20)
    (records,) = zip(*site.rows("SELECT generation FROM attempt WHERE ending = 'done'"), strict=True)
    for record in map(json.loads, records):
        assert record["origin"]["endpoint"] == served
        assert record["origin"]["model"] == "default_model"
        assert record["origin"]["date"].startswith("20")
        assert record["placement"] == "system"
        assert 1 <= record["completion_tokens"] <= 24
        assert record["prompt_tokens"] > 10
    assert site.rows("SELECT name, engine FROM model") == [("default_model", "openai")]
    # and with nothing left to do, the same command says so
    again = site.run("run", site.run_file, "--workers", 1)
    assert (again.code, "nothing" in again.err) == (0, True)


@pytest.mark.mlx
def test_a_trial_on_a_real_server_measures_its_pace(site: Site, served: str) -> None:
    _write(site, served)
    tried = site.run("try", site.run_file, "--probes", 2, "--samples", 1, "--json")
    assert tried.code == 0, tried.err
    assert tried.data["trial"]["tokens_per_second"] > 0
    assert tried.data["trial"]["phases"][0]["mean_tokens"] > 1


@pytest.mark.mlx
def test_a_model_that_a_real_server_does_not_have_ends_the_run_with_the_reason(site: Site, served: str) -> None:
    _write(site, served, model="no-such/model")
    refused = site.run("run", site.run_file, "--workers", 1)
    assert refused.code == 2, refused.err
    assert "answered 404" in refused.err
    assert "no-such/model" in refused.err
    assert site.count("state = 'pending'") == 20


MISDEEDS: tuple[Behaviour, ...] = (
    status(429, retry_after="0.1"),
    status(503, retry_after="0"),
    hang_up_midway,
    answer("A good ", "long answer."),
    raw("data: {half\n\n"),
    hang_up_at_once,
    answer("Another good answer.", usage={"completion_tokens": "many"}),
)


def test_a_run_on_a_server_that_misbehaves_ends_done_all_the_same(site: Site, house: Endpoint) -> None:
    house.script.extend(itertools.islice(itertools.cycle(MISDEEDS), 22))
    house.script.appendleft(answer("Hello."))
    _write(site, house.url, model="house-model", more=", requests_per_minute: 6000, tokens_per_minute: 1000000")
    done = site.run("run", site.run_file, "--workers", 1)
    assert done.code == 0, done.err + site.story()
    _assert_whole(site, 20)
    assert set(house.keys) == {f"Bearer {KEY}"}
    assert len(house.bodies) > 20 + 10
    assert site.rows("SELECT count(*) FROM attempt WHERE ending <> 'done'") == [(0,)]


def test_what_cannot_be_asked_fails_its_sample_only(site: Site, house: Endpoint) -> None:
    house.script.extend([answer("Hello."), status(400, f"not with {KEY}"), status(400, "maximum context length")])
    _write(site, house.url, model="house-model", accepted=18)
    done = site.run("run", site.run_file, "--workers", 1)
    assert done.code == 0, done.err + site.story()
    assert site.rows("SELECT error_class FROM sample WHERE state = 'failed' ORDER BY 1") == [
        ("prompt_too_long",),
        ("refused",),
    ]
    _assert_no_key(site)


def test_a_key_that_is_refused_ends_the_run_with_the_reason_and_is_not_shown(site: Site, house: Endpoint) -> None:
    house.listing = status(401, f"wrong key {KEY}")
    _write(site, house.url, model="house-model")
    refused = site.run("run", site.run_file, "--workers", 1)
    assert refused.code == 2
    assert "it refuses the API key in HOUSE_KEY" in refused.err
    assert KEY not in refused.err + refused.out
    _assert_no_key(site)


def test_a_sample_past_its_deadline_is_taken_back_from_the_endpoint(site: Site, house: Endpoint) -> None:
    house.script.extend([answer("Hello."), house.keep_silent])
    _write(site, house.url, model="house-model")
    done = site.run("run", site.run_file, "--workers", 1, "--set", "farm.deadline_seconds=1")
    assert done.code == 0, done.err + site.story()
    assert house.hung_up.is_set()
    assert set(site.rows("SELECT ending, error FROM attempt WHERE ending <> 'done'")) == {
        ("failed", "deadline: not finished within 1 s")
    }
    _assert_whole(site, 20)
