"""The API key goes to the endpoint and nowhere else, whatever the endpoint does with it."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from lemfarm.config import OpenAiModel, config_data, effective_yaml
from lemfarm.engines import open_engine
from lemfarm.engines.base import Finished, Request, Sampling
from lemfarm.engines.openai_client import key_warning
from lemfarm.errors import LemfarmError, ModelError
from tests.run_files import load, problems, write_files
from tests.unit.engines.conftest import drive
from tests.unit.engines.openai_endpoint import Behaviour, Endpoint, answer, endpoint, event, raw, status

KEY = "sk-a-key-that-nobody-may-see"
RUN = """\
run: tiny
model: {engine: openai, base_url: URL, model: house-model, api_key_env: HOUSE_KEY}
phases:
  - {name: first, probes: [probes.jsonl], samples: 1, quota: {accepted: 1}}
"""


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("HOUSE_KEY", KEY)
    with endpoint() as made:
        yield made


def run(house: Endpoint, *script: Behaviour, **settings: Any) -> Finished:
    """One sample, from loading to the end."""
    engine = open_engine(house.model(**{"api_key_env": "HOUSE_KEY"} | settings), folder=None, slots=None)
    facts = engine.load()
    assert KEY not in repr(facts)
    house.script.extend(script)
    ended = drive(engine, [Request("s1", (), Sampling(), 1)])["s1"]
    engine.close()
    return ended


@pytest.mark.parametrize(
    ("name", "sent"), [("HOUSE_KEY", f"Bearer {KEY}"), ("NOT_SET", "Bearer none"), (None, "Bearer none")]
)
def test_the_key_of_the_named_variable_is_sent(house: Endpoint, name: str | None, sent: str) -> None:
    run(house, api_key_env=name)
    assert set(house.keys) == {sent}


@pytest.mark.parametrize(
    "behaviour",
    [
        status(400, f"your key {KEY} may not do that"),
        status(401, f"wrong key {KEY}"),
        status(403, f"no, {KEY}"),
        status(404, f"nothing for {KEY}"),
        status(422, f"{KEY}, {KEY}"),
        raw(KEY, 400),
        raw(event({"error": {"message": f"context length of {KEY}"}})),
        answer("Well.", model=f"model for {KEY[:6]}", created=KEY),
    ],
)
def test_no_complaint_that_repeats_the_key_is_passed_on(
    house: Endpoint, behaviour: Behaviour, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), structlog.testing.capture_logs() as told:
        ended = run(house, status(429, f"slow down, {KEY}", "0"), behaviour)
    assert KEY not in repr(ended)
    assert KEY not in str(ended.error)
    assert told
    assert KEY not in str(told)
    assert KEY not in caplog.text


def test_a_report_that_holds_the_key_is_stored_without_it(house: Endpoint) -> None:
    ended = run(house, answer("Well.", provider=f"house of {KEY}"))
    assert ended.completion is not None
    assert ended.completion.origin["provider"] == "house of ***"


@pytest.mark.parametrize("key", ["sk-ä", "two words", "line\nbreak"])
def test_a_key_that_no_header_takes_is_refused_without_showing_it(
    house: Endpoint, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("HOUSE_KEY", key)
    with pytest.raises(ModelError, match="HOUSE_KEY holds spaces or signs") as refused:
        run(house)
    assert key not in str(refused.value)


def test_white_space_around_a_key_is_not_part_of_it(house: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSE_KEY", f" {KEY}\n")
    run(house)
    assert set(house.keys) == {f"Bearer {KEY}"}


def test_a_refusal_at_the_start_shows_no_key(house: Endpoint) -> None:
    house.script.append(status(404, f"nothing for {KEY}"))
    with pytest.raises(LemfarmError) as refused:
        run(house)
    assert KEY not in str(refused.value)


def test_the_configuration_holds_the_name_of_the_variable_only(house: Endpoint, tmp_path: Path) -> None:
    write_files(tmp_path)
    config = load(tmp_path, RUN.replace("URL", house.url), environ={"HOUSE_KEY": KEY})
    assert KEY not in effective_yaml(config) + repr(config_data(config)) + repr(config)
    assert "HOUSE_KEY" in effective_yaml(config)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("api_key_env: HOUSE_KEY", f"api_key_env: {KEY}"),
        ("base_url: URL", f"base_url: 'https://user:{KEY}@house/v1'"),
        ("base_url: URL", f"base_url: 'https://house/v1?key={KEY}'"),
        ("api_key_env: HOUSE_KEY", f"api_key: {KEY}"),
    ],
)
def test_a_key_in_the_run_file_is_refused_and_not_repeated(tmp_path: Path, old: str, new: str) -> None:
    write_files(tmp_path)
    found = problems(tmp_path, RUN.replace(old, new).replace("URL", "http://house/v1"))
    assert len(found) == 1
    assert KEY not in found[0]


@pytest.mark.parametrize(
    ("url", "environ", "warned"),
    [
        ("http://house.lan:8080/v1", {"OPENAI_API_KEY": KEY}, True),
        ("http://house.lan:8080/v1", {}, False),
        ("https://house.lan/v1", {"OPENAI_API_KEY": KEY}, False),
        ("http://127.0.0.1:8080/v1", {"OPENAI_API_KEY": KEY}, False),
        ("http://localhost:8080/v1", {"OPENAI_API_KEY": KEY}, False),
    ],
)
def test_a_key_that_would_travel_in_the_open_is_warned_of(url: str, environ: dict[str, str], warned: bool) -> None:
    said = key_warning(OpenAiModel(engine="openai", base_url=url, model="m"), environ)
    assert (said is not None) == warned
    assert KEY not in str(said)
