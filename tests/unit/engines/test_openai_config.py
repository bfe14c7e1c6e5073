"""What a run file may say of an endpoint, and what follows from it before anything is asked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lemfarm.config import OpenAiModel, config_data, config_from_data
from lemfarm.doctor import Finding, check_endpoint
from lemfarm.errors import LemfarmError
from lemfarm.home import Home
from lemfarm.machine import machine_facts
from producer.campaign import key_of
from producer.preview import Preview, preview
from tests.run_files import GOOD, load, problems, spot, write_files
from tests.unit.engines.openai_endpoint import Behaviour, Endpoint, as_json, endpoint, hang_up_at_once, status

MODEL = "model: {engine: openai, base_url: 'http://127.0.0.1:8080/v1/', model: house-model}"
UNTRAINED = GOOD.replace("    train: {iterations: 10, learning_rate: 1e-5, max_seq_length: 256}\n", "").replace(
    "train: {rank: 4}\n", ""
)
RUN = UNTRAINED.replace("model: {engine: simulated}", MODEL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    with endpoint() as made:
        yield made


def seen(folder: Path, **overrides: object) -> Preview:
    return preview(load(folder, RUN, **overrides), Home(folder / "none"), machine=machine_facts())


def look(house: Endpoint, **settings: Any) -> Finding:
    return check_endpoint(house.model(**settings))


def test_an_endpoint_is_named_by_model_and_address(folder: Path) -> None:
    config = load(folder, RUN)
    assert isinstance(config.model, OpenAiModel)
    assert config.model.base_url == "http://127.0.0.1:8080/v1"
    assert config.model.path == "house-model"
    assert key_of(config, None) == "openai:house-model@http://127.0.0.1:8080/v1"
    assert config_from_data(config_data(config)) == config


BAD_VALUES = [
    ("'http://127.0.0.1:8080/v1/'", "localhost:8080/v1", "model.base_url", "should be an address such as http://"),
    ("'http://127.0.0.1:8080/v1/'", "http://", "model.base_url", "should be an address such as http://"),
    ("'http://127.0.0.1:8080/v1/'", "'http://h:0x/v1'", "model.base_url", "should be an address such as http://"),
    ("house-model}", "'', slots: 2}", "model.model", "should not be empty"),
    ("house-model}", "m, slots: 0}", "model.slots", "should be at least 1, not 0"),
    ("house-model}", "m, requests_per_minute: 0}", "model.requests_per_minute", "should be at least 1, not 0"),
    ("house-model}", "m, length_key: n_predict}", "model.length_key", "should be max_tokens or max_completion_tokens"),
    ("house-model}", "m, api_key_env: my key}", "model.api_key_env", "should be the NAME of an environment variable"),
    ("house-model}", "m, temprature: 1}", "model.temprature", "unknown key"),
]


@pytest.mark.parametrize(("old", "new", "path", "words"), BAD_VALUES)
def test_what_cannot_be_meant_is_refused(folder: Path, old: str, new: str, path: str, words: str) -> None:
    (problem,) = problems(folder, RUN.replace(old, new))
    assert f": {path}: {words}" in problem


@pytest.mark.parametrize("settings", ["train: {rank: 4}\n", ""])
def test_a_phase_that_trains_is_refused_with_what_to_do(folder: Path, settings: str) -> None:
    """Whether or not the file has the LoRA settings: asking for them would lead astray."""
    text = GOOD.replace("model: {engine: simulated}", MODEL).replace("train: {rank: 4}\n", settings)
    (problem,) = problems(folder, text)
    assert problem.startswith(f"{spot(text, 'train:')}: phases.0.train: a model behind an endpoint cannot be trained")
    assert "leave `train` out" in problem
    assert "`engine: mlx`" in problem


def test_a_phase_that_trains_is_told_beside_another_problem(folder: Path) -> None:
    text = GOOD.replace("model: {engine: simulated}", MODEL).replace("temperature: 0.8", "temperature: -1")
    assert [line.split(": ")[1] for line in problems(folder, text)] == ["sampling.temperature", "phases.0.train"]


def test_a_plan_without_budgets_sends_to_a_trial(folder: Path) -> None:
    costs = seen(folder).costs
    assert (costs.rate, costs.memory) == (None, None)
    assert costs.missing == ("time: only a trial can tell how fast the endpoint is: `lemfarm try` measures it",)


@pytest.mark.parametrize(
    ("budgets", "seconds"),
    [
        ({"requests_per_minute": 30}, 2.0),
        ({"tokens_per_minute": 640}, 6.0),
        ({"requests_per_minute": 30, "tokens_per_minute": 640}, 6.0),
    ],
)
def test_a_plan_is_no_faster_than_the_budgets(folder: Path, budgets: dict[str, int], seconds: float) -> None:
    """Answers of 64 tokens at most."""
    costs = seen(folder, **{f"model__{key}": value for key, value in budgets.items()}).costs
    assert costs.rate is not None
    assert costs.rate.seconds_per_sample == pytest.approx(seconds)
    assert costs.missing == ()


def test_doctor_finds_an_endpoint_that_lists_the_model(house: Endpoint) -> None:
    found = look(house)
    assert (found.level, found.what) == (
        "ok",
        f"house-model at {house.url}: the endpoint answers and lists it",
    )
    assert house.bodies == []


def test_doctor_names_the_models_that_are_listed_instead(house: Endpoint) -> None:
    found = look(house, model="huose-model")
    assert (found.level, "it lists: house-model" in found.how_to_fix) == ("warn", True)


@pytest.mark.parametrize("listing", [status(404), as_json({"object": "list"}), hang_up_at_once])
def test_doctor_takes_an_endpoint_without_a_list_as_it_is(house: Endpoint, listing: Behaviour) -> None:
    house.listing = listing
    found = look(house)
    assert (found.level, "has no list of models" in found.what) == ("ok", True)


@pytest.mark.parametrize(
    ("listing", "words"), [(status(401), "refuses the API key in OPENAI_API_KEY"), (status(503), "Start it, or check")]
)
def test_doctor_tells_why_an_endpoint_cannot_be_used(house: Endpoint, listing: Behaviour, words: str) -> None:
    house.listing = listing
    with pytest.raises(LemfarmError, match=words):
        look(house)
