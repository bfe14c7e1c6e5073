"""The engine for endpoints, against a server on a real socket that misbehaves in all the ways that servers do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from lemfarm.dialogue import Message, Placement
from lemfarm.engines import open_engine, openai
from lemfarm.engines.base import Completion, Engine, FinishReason, Request, Sampling
from lemfarm.errors import EngineFailure, ModelError, PromptTooLong, RequestRefused, SampleError, Unavailable
from tests.unit.engines.conftest import drive, finish
from tests.unit.engines.openai_endpoint import (
    Behaviour,
    Endpoint,
    answer,
    as_json,
    endpoint,
    event,
    hang_up_at_once,
    hang_up_midway,
    piece,
    raw,
    status,
)

KEY = "sk-a-key-that-nobody-may-see"


@pytest.fixture
def house() -> Iterator[Endpoint]:
    with endpoint() as made:
        yield made


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever tries again does so without waiting; what an endpoint asks for is still waited for."""
    monkeypatch.setattr(openai, "backoff_seconds", lambda tries: 0.0)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def engine(house: Endpoint) -> Iterator[Engine]:
    made = connect(house)
    yield made
    made.close()


def connect(house: Endpoint, *script: Behaviour, **settings: Any) -> Engine:
    """A loaded engine; what the endpoint was asked until then is forgotten, and the script is for what follows."""
    made = open_engine(house.model(**settings), folder=None, slots=None)
    made.load()
    house.bodies.clear()
    house.keys.clear()
    house.script.extend(script)
    return made


def ask(name: str = "s1", *, max_tokens: int = 64, **more: Any) -> Request:
    question = Message("user", "How are you?")
    return Request(name, (question,), Sampling(0.7, 0.9, max_tokens), more.pop("seed", 5), **more)


def result(engine: Engine, request: Request | None = None) -> Completion:
    request = request or ask()
    ended = drive(engine, [request])[request.sample_id]
    assert ended.completion is not None, ended.error
    return ended.completion


def failure(engine: Engine, request: Request | None = None) -> SampleError:
    request = request or ask()
    error = drive(engine, [request])[request.sample_id].error
    assert error is not None
    return error


def test_a_completion_tells_all_that_the_endpoint_reports(house: Endpoint, engine: Engine) -> None:
    house.script.append(answer("All ", "is ", "well."))
    made = result(engine)
    assert (made.text, made.finish_reason) == ("All is well.", FinishReason.STOP)
    assert (made.prompt_tokens, made.cached_tokens, made.completion_tokens) == (12, 8, 3)
    assert (made.token_ids, made.seed, made.placement) == ((), 5, Placement.NONE)
    assert made.origin == {
        "id": "answer-1",
        "model": "house-model-0711",
        "system_fingerprint": "fp-1",
        "provider": "127.0.0.1",
        "date": "2026-07-14T03:33:20+00:00",
        "endpoint": house.url,
        "finish_reason": "stop",
        "seed": 5,
        "tries": 1,
        "tokens_counted_by_endpoint": True,
    }
    assert 0 <= made.time_to_first_token <= made.seconds


def test_what_is_sent_is_the_request_and_nothing_more(house: Endpoint, engine: Engine) -> None:
    result(engine, ask(seed=2**62 + 7))
    assert house.bodies == [
        {
            "model": "house-model",
            "messages": [{"role": "user", "content": "How are you?"}],
            "temperature": 0.7,
            "top_p": 0.9,
            "max_tokens": 64,
            "seed": 7,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]


def test_what_an_endpoint_does_not_know_can_be_left_out(house: Endpoint) -> None:
    engine = connect(house, send_seed=False, length_key="max_completion_tokens")
    assert result(engine).origin["seed"] is None
    assert "seed" not in house.bodies[0]
    assert (house.bodies[0].get("max_tokens"), house.bodies[0]["max_completion_tokens"]) == (None, 64)
    engine.close()


@pytest.mark.parametrize(
    ("placement", "sent"),
    [
        (Placement.SYSTEM, [("system", "Be kind."), ("user", "How are you?")]),
        (Placement.USER, [("user", "Be kind.\n\nHow are you?")]),
    ],
)
def test_the_kernel_goes_where_it_is_placed(
    house: Endpoint, engine: Engine, placement: Placement, sent: list[tuple[str, str]]
) -> None:
    made = result(engine, ask(kernel="Be kind.", placement=placement))
    assert [(turn["role"], turn["content"]) for turn in house.bodies[0]["messages"]] == sent
    assert made.placement is placement


def test_a_kernel_falls_back_to_the_user_turn_where_a_system_turn_is_refused(house: Endpoint, engine: Engine) -> None:
    # Given a model whose template has no system turn
    house.script.append(status(400, "System role not supported"))
    # When two samples are asked for
    first, second = (result(engine, ask(name, kernel="Be kind.")) for name in ("s1", "s2"))
    # Then both went with the kernel before the question, and the second was not refused first
    assert (first.placement, second.placement) == (Placement.USER, Placement.USER)
    assert [body["messages"][0]["role"] for body in house.bodies] == ["system", "user", "user"]


def test_one_odd_dialogue_does_not_move_the_kernel_of_the_others(house: Endpoint, engine: Engine) -> None:
    # Given a dialogue that is refused wherever the kernel goes
    house.script.extend([status(400, "a system message may only come first")] * 2)
    odd = (Message("user", "Well?"), Message("system", "Be brief."), Message("user", "Well?"))
    assert isinstance(failure(engine, Request("odd", odd, Sampling(), 1, kernel="Be kind.")), RequestRefused)
    # Then the next sample has it in the system turn
    assert result(engine, ask(kernel="Be kind.")).placement is Placement.SYSTEM


@pytest.mark.parametrize(
    ("said", "reason"),
    [("stop", FinishReason.STOP), ("length", FinishReason.LENGTH), ("content_filter", FinishReason.OTHER)],
)
def test_the_reason_of_the_end_is_told(house: Endpoint, engine: Engine, said: str, reason: FinishReason) -> None:
    house.script.append(answer("Well, ", finish=said))
    made = result(engine)
    assert (made.finish_reason, made.origin["finish_reason"]) == (reason, said)


@pytest.mark.parametrize(
    "behaviour",
    [answer("Fine.", thoughts="What to say?"), answer("<think>What to ", "say?</think>", "Fine.")],
    ids=["apart", "inline"],
)
def test_thoughts_are_parted_from_the_answer(house: Endpoint, engine: Engine, behaviour: Behaviour) -> None:
    house.script.append(behaviour)
    made = result(engine)
    assert (made.text, made.thoughts) == ("Fine.", "What to say?")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, (0, 0, 2)),
        ("much", (0, 0, 2)),
        ({}, (0, 0, 2)),
        ({"prompt_tokens": -5, "completion_tokens": "7", "prompt_tokens_details": 3}, (0, 0, 2)),
        ({"prompt_tokens": True, "completion_tokens": 0}, (0, 0, 2)),
        ({"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 90}}, (9, 9, 4)),
    ],
)
def test_figures_that_make_no_sense_are_not_believed(
    house: Endpoint, engine: Engine, usage: Any, expected: tuple[int, int, int]
) -> None:
    house.script.append(answer("All ", "well.", usage=usage))
    made = result(engine)
    assert (made.prompt_tokens, made.cached_tokens, made.completion_tokens) == expected
    assert made.origin["tokens_counted_by_endpoint"] is (expected[2] == 4)


def test_a_report_that_no_database_would_take_is_cleaned(house: Endpoint, engine: Engine) -> None:
    house.script.append(answer("Well.", model="a\0b\ud800", provider="x" * 5000, created="soon", id=[1]))
    origin = result(engine).origin
    assert origin["model"] == "house-model-0711" or "\0" not in origin["model"]
    origin["model"].encode()
    assert len(origin["provider"]) < 1000
    assert "id" not in origin or isinstance(origin["id"], str)


TRANSIENT = {
    "busy": status(429, retry_after="0"),
    "busy, for a moment": status(429, retry_after="0.05"),
    "busy, until a date": status(503, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"),
    "away": status(503),
    "a fault": status(500),
    "a page of a proxy": raw("<html>Bad gateway</html>", 502, kind="text/html"),
    "hung up at once": hang_up_at_once,
    "hung up midway": hang_up_midway,
    "broke off": raw(piece({"content": "All is"})),
    "no JSON": raw("data: {half an ob\n\n"),
    "JSON of another kind": raw(event([1, 2]) + event("x") + event(None)),
    "an empty body": raw("", 200),
    "no stream": as_json({"choices": [{"message": {"content": "All is well."}, "finish_reason": "stop"}]}),
    "an error in the stream": raw(piece({"content": "All"}) + event({"error": {"message": "out of memory"}})),
    "choices of another kind": raw(event({"choices": 7}) + event({"choices": [None]})),
}


@pytest.mark.parametrize("behaviour", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_what_may_pass_is_tried_again_and_nothing_of_the_first_try_is_left(
    house: Endpoint, engine: Engine, behaviour: Behaviour
) -> None:
    house.script.extend([behaviour, behaviour])
    made = result(engine)
    assert (made.text, made.origin["tries"], len(house.bodies)) == ("All is well.", 3, 3)


def test_a_slow_endpoint_counts_as_lost_after_its_silence(house: Endpoint) -> None:
    engine = connect(house, house.keep_silent, silence_seconds=0.2)
    assert result(engine).origin["tries"] == 2
    engine.close()


def test_what_an_endpoint_asks_to_wait_holds_for_all_its_requests(house: Endpoint) -> None:
    # Given an endpoint that wants an hour of peace
    engine = connect(house, status(429, retry_after="3600"))
    engine.add(ask("first"))
    with structlog.testing.capture_logs() as told:
        while not told:
            engine.step()
    assert (told[0]["event"], told[0]["seconds"]) == ("trying again", 3600.0)
    # When another sample comes
    engine.add(ask("second"))
    for _ in range(5):
        assert engine.step() == []
    # Then it is not sent, and can be taken out as any other
    assert len(house.bodies) == 1
    engine.remove("second")
    engine.close()


@pytest.mark.parametrize("behaviour", [hang_up_midway, status(500), raw("data: {half an ob\n\n")])
def test_an_answer_that_never_comes_whole_fails_the_sample_after_a_few_tries(
    house: Endpoint, engine: Engine, behaviour: Behaviour
) -> None:
    house.script.extend([behaviour] * 10)
    error = failure(engine)
    assert isinstance(error, EngineFailure)
    assert error.retryable
    assert "4 tries" in str(error)
    assert len(house.bodies) == 4


def test_an_endpoint_that_stays_busy_fails_the_sample_when_patience_ends(house: Endpoint) -> None:
    engine = connect(house, *[status(429, "slow down", "0")] * 50, patience_seconds=0)
    error = failure(engine)
    assert isinstance(error, EngineFailure)
    assert "answered 429: slow down" in str(error)
    engine.close()


REFUSED = [
    (status(400, "temperature is too high"), RequestRefused, "answered 400: temperature is too high"),
    (status(422, "seed: extra inputs are not permitted"), RequestRefused, "answered 422: seed"),
    (status(400, "This model's maximum context length is 4096 tokens"), PromptTooLong, "4096 tokens"),
    (status(400, "no", error_code="context_length_exceeded"), PromptTooLong, "no"),
    (raw(event({"error": {"message": "the prompt exceeds the context window"}})), PromptTooLong, "context window"),
    (status(401, "bad key"), EngineFailure, "OPENAI_API_KEY is not set on this machine"),
    (status(404, "gone"), EngineFailure, "has no model 'house-model'"),
    (status(429, "pay", error_code="insufficient_quota"), EngineFailure, "credit is used up"),
]


@pytest.mark.parametrize(("behaviour", "kind", "words"), REFUSED)
def test_what_cannot_pass_is_not_tried_again_and_says_why(
    house: Endpoint, engine: Engine, behaviour: Behaviour, kind: type[SampleError], words: str
) -> None:
    house.script.append(behaviour)
    error = failure(engine)
    assert isinstance(error, kind)
    assert words in str(error)
    assert len(house.bodies) == 1


def test_one_bad_request_stops_no_other(house: Endpoint) -> None:
    engine = connect(house, status(400), slots=1)
    ended = drive(engine, [ask("bad"), ask("good")])
    assert ended["bad"].error is not None
    assert ended["good"].completion is not None
    engine.close()


def test_an_adapter_is_refused_and_nothing_is_sent(house: Endpoint, engine: Engine) -> None:
    assert "adapter" in str(failure(engine, ask(adapter=Path("adapter"))))
    assert house.bodies == []


def test_no_more_than_the_slots_are_under_way(house: Endpoint) -> None:
    engine = connect(house, slots=2)
    ended = drive(engine, [ask(f"s{number}") for number in range(12)])
    assert len(ended) == 12
    assert house.most_busy <= 2
    engine.close()


def test_a_removed_request_hangs_up_and_leaves_the_others(house: Endpoint) -> None:
    engine = connect(house, house.keep_silent, slots=1)
    engine.add(ask("gone"))
    while not house.bodies:
        engine.step()
    engine.add(ask("stays"))
    engine.remove("gone")
    engine.remove("never seen")
    assert house.hung_up.wait(30)
    assert finish(engine, ["stays"])["stays"].completion is not None
    engine.close()


def test_unloading_forgets_what_is_under_way_and_it_can_be_loaded_again(house: Endpoint) -> None:
    engine = connect(house, house.keep_silent)
    engine.add(ask("forgotten"))
    while not house.bodies:
        engine.step()
    engine.unload()
    assert house.hung_up.wait(30)
    engine.load()
    assert list(drive(engine, [ask("new")])) == ["new"]
    engine.close()


def test_with_nothing_to_do_a_step_returns_at_once(engine: Engine) -> None:
    assert list(engine.step()) == []


def test_the_facts_say_what_is_connected(house: Endpoint) -> None:
    engine = open_engine(house.model(slots=3), folder=None, slots=5)
    facts = engine.load()
    assert (facts.engine, facts.slots, facts.context_tokens, engine.slots) == ("openai", 5, 4096, 5)
    assert facts.details == {"endpoint": house.url, "model": "house-model"}
    engine.close()


@pytest.mark.parametrize("listing", [status(404), raw("<html>"), hang_up_midway, as_json({"data": None}), status(500)])
def test_an_endpoint_without_a_list_of_models_is_taken_as_it_is(house: Endpoint, listing: Behaviour) -> None:
    house.listing = listing
    engine = connect(house)
    assert result(engine).text == "All is well."
    engine.close()


@pytest.mark.parametrize("code", [401, 403])
def test_a_refused_key_is_told_at_the_start(house: Endpoint, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setenv("HOUSE_KEY", KEY)
    house.listing = status(code, f"key {KEY} is not valid")
    with pytest.raises(ModelError, match=f"answered {code}: it refuses the API key in HOUSE_KEY"):
        connect(house, api_key_env="HOUSE_KEY")


def test_a_model_that_is_not_there_is_told_at_the_start(house: Endpoint) -> None:
    house.script.append(status(404, "no model house-model here"))
    with pytest.raises(ModelError, match=r"404: no model house-model here.*lemfarm doctor RUNFILE"):
        connect(house)


def test_an_endpoint_that_is_not_there_is_told_at_the_start() -> None:
    with endpoint() as closed:
        pass
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1.* cannot be reached.*model\.base_url"):
        connect(closed)


def test_a_start_in_a_busy_moment_is_no_failure(house: Endpoint) -> None:
    house.script.append(status(429, retry_after="0.1"))
    engine = connect(house)
    assert result(engine).text == "All is well."
    engine.close()


def test_a_first_request_that_is_refused_as_too_short_is_no_failure(house: Endpoint) -> None:
    house.script.append(status(400, "max_tokens is too small"))
    engine = connect(house)
    assert result(engine).text == "All is well."
    engine.close()


def test_an_engine_that_is_not_loaded_says_so(house: Endpoint) -> None:
    with pytest.raises(ModelError, match=r"call load\(\) first"):
        open_engine(house.model(), folder=None, slots=None).add(ask())
