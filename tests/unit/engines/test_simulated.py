"""The engine without a model: deterministic, timed, and judged by the real scorers."""

import random
import signal
import subprocess
import sys
from pathlib import Path
from statistics import mean, pstdev
from time import sleep
from typing import Any

import pytest

from lemfarm.dialogue import Message, Placement
from lemfarm.engines import simulated
from lemfarm.engines.base import Completion, Finished, FinishReason, Request, Sampling
from lemfarm.engines.simulated import CRASH_EXIT_CODE, SimulatedEngine
from lemfarm.errors import EngineFailure
from lemfarm.scorers import get_scorer
from tests.unit.engines.conftest import drive, finish

GATE = 24.0


def ask(number: int, *, max_tokens: int = 1024, **more: Any) -> Request:
    question = Message("user", f"question {number % 10}")
    return Request(f"s{number}", (question,), Sampling(max_tokens=max_tokens), 7919 * number, **more)


def at_once(**settings: Any) -> SimulatedEngine:
    engine = SimulatedEngine(**{"tokens_per_second": 0, "slots": 8} | settings)
    engine.load()
    return engine


def completions(ended: dict[str, Finished]) -> dict[str, Completion]:
    return {sample: finished.completion for sample, finished in ended.items() if finished.completion is not None}


def scores(engine: SimulatedEngine, requests: list[Request]) -> list[float]:
    scorer = get_scorer("v2-distill")
    ended = drive(engine, requests)
    return [scorer.score("", completion.text).value for completion in completions(ended).values()]


def test_the_text_depends_on_the_seed_alone() -> None:
    requests = [ask(number) for number in range(30)]
    first = {sample: done.text for sample, done in completions(drive(at_once(), requests)).items()}
    shuffled = random.Random(1).sample(requests, len(requests))
    again = {sample: done.text for sample, done in completions(drive(at_once(slots=3), shuffled)).items()}
    assert first == again
    assert len(set(first.values())) == 30


def test_answers_fall_on_both_sides_of_the_gate() -> None:
    passed = [score >= GATE for score in scores(at_once(), [ask(number) for number in range(200)])]
    assert 0.3 < mean(passed) < 0.8


def test_quality_decides_how_many_pass() -> None:
    requests = [ask(number) for number in range(60)]
    assert max(scores(at_once(quality=0.0), requests)) < GATE
    assert min(scores(at_once(quality=1.0), requests)) >= GATE


def test_some_prompts_are_harder_than_others() -> None:
    per_prompt = [mean(scores(at_once(), [ask(10 * n + prompt) for n in range(40)])) for prompt in range(10)]
    assert max(per_prompt) - min(per_prompt) > 4


def test_how_much_prompts_differ_can_be_chosen() -> None:
    def spread(**settings: float) -> float:
        return pstdev(mean(scores(at_once(**settings), [ask(10 * n + p) for n in range(20)])) for p in range(10))

    assert spread(prompt_spread=0.0) < spread(prompt_spread=0.1) < spread(prompt_spread=0.3)


def test_an_adapter_raises_the_score() -> None:
    without = scores(at_once(), [ask(number) for number in range(60)])
    trained = scores(at_once(), [ask(number, adapter=Path("adapter")) for number in range(60)])
    assert mean(trained) > mean(without) + 3


def test_a_completion_tells_how_it_came_about() -> None:
    ended = completions(drive(at_once(slots=2), [ask(n, kernel="listen first") for n in range(2)]))
    first, second = ended["s0"], ended["s1"]
    assert first.finish_reason is FinishReason.STOP
    assert 100 < len(first.token_ids) < 400
    assert (first.prompt_tokens, first.cached_tokens, second.cached_tokens) == (4, 0, 2)
    assert first.placement is Placement.SYSTEM
    assert first.batch_mates == ("s1",)
    assert (first.seed, second.seed) == (0, 7919)
    assert first.versions == {"simulated": "1"}


def test_an_answer_over_max_tokens_is_cut_there() -> None:
    done = completions(drive(at_once(), [ask(1, max_tokens=20)]))["s1"]
    assert done.finish_reason is FinishReason.LENGTH
    assert len(done.token_ids) == 20
    assert len(done.text.split()) == 20


def test_failures_are_a_share_of_the_seeds_and_come_back_the_same() -> None:
    requests = [ask(number) for number in range(200)]
    failed = [{s for s, f in drive(at_once(failure_rate=0.2), requests).items() if f.error} for _ in range(2)]
    assert failed[0] == failed[1]
    assert 20 < len(failed[0]) < 65
    assert isinstance(drive(at_once(failure_rate=1.0), [ask(1)])["s1"].error, EngineFailure)


def test_time_passes_as_configured_in_short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    monkeypatch.setattr(simulated, "sleep", lambda seconds: (naps.append(seconds), sleep(seconds)))
    engine = at_once(tokens_per_second=1000, first_token_seconds=0.05, mean_tokens=100)
    for number in range(3):
        engine.add(ask(number))
    for done in completions(finish(engine, {"s0", "s1", "s2"})).values():
        assert done.seconds >= 0.05 + len(done.token_ids) / 1000
        assert done.time_to_first_token == 0.05
        assert done.tokens_per_second == 1000
    assert 0 < max(naps) <= 0.02


def test_no_more_answers_than_slots_are_in_the_making() -> None:
    engine = at_once(slots=3)
    for number in range(7):
        engine.add(ask(number))
    assert [len(engine.step()) for _ in range(4)] == [3, 3, 1, 0]


def test_a_removed_request_never_ends() -> None:
    engine = at_once(slots=1)
    for number in range(3):
        engine.add(ask(number))
    engine.remove("s1")
    engine.remove("unknown")
    assert set(finish(engine, {"s0", "s2"})) == {"s0", "s2"}
    assert list(engine.step()) == []


def test_unload_forgets_everything() -> None:
    engine = at_once()
    engine.add(ask(1))
    engine.unload()
    assert list(engine.step()) == []
    assert engine.load().slots == engine.slots == 8
    engine.close()


_CRASH = """
from lemfarm.dialogue import Message
from lemfarm.engines.base import Request, Sampling
from lemfarm.engines.simulated import SimulatedEngine
import sys
engine = SimulatedEngine(crash_rate=1.0, tokens_per_second=float(sys.argv[1]))
engine.load()
engine.add(Request("s", (Message("user", "Why?"),), Sampling(), 1))
while not engine.step():
    pass
"""


@pytest.mark.parametrize("speed", ["0", "5000"])
def test_a_crash_ends_the_process_on_the_spot(speed: str) -> None:
    done = subprocess.run([sys.executable, "-c", _CRASH, speed], capture_output=True, timeout=60, check=False)
    assert done.returncode == CRASH_EXIT_CODE


_ABORT = """
from lemfarm.dialogue import Message
from lemfarm.engines.base import Request, Sampling
from lemfarm.engines.simulated import SimulatedEngine
import sys
engine = SimulatedEngine(abort_above=2, tokens_per_second=5000)
engine.load()
for number in range(int(sys.argv[1])):
    engine.add(Request(f"s{number}", (Message("user", "Why?"),), Sampling(), number))
ended = 0
while ended < int(sys.argv[1]):
    ended += len(engine.step())
"""


@pytest.mark.parametrize(("at_once", "code"), [(2, 0), (3, -signal.SIGABRT)])
def test_more_answers_than_memory_holds_abort_the_process(at_once: int, code: int) -> None:
    done = subprocess.run([sys.executable, "-c", _ABORT, str(at_once)], capture_output=True, timeout=60, check=False)
    assert done.returncode == code


def test_it_needs_no_mlx() -> None:
    code = "import sys, lemfarm.engines.simulated as s; assert not any(m.split('.')[0] == 'mlx' for m in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
