"""The MLX engine against plain mlx-lm, one prompt at a time, on a tiny model with random weights."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx_lm
import pytest
from mlx.utils import tree_flatten
from mlx_lm.generate import generate_step
from mlx_lm.tuner.utils import linear_to_lora_layers

from lemfarm.dialogue import Message, Placement
from lemfarm.engines import mlx as engine_module
from lemfarm.engines import mlx_prefill
from lemfarm.engines.base import Completion, Finished, FinishReason, Request, Sampling
from lemfarm.engines.mlx import MlxEngine
from lemfarm.engines.mlx_sampling import Draw, draw
from lemfarm.errors import EngineFailure, ModelError, PromptTooLong
from tests.tiny_model import TEMPLATE_WITHOUT_SYSTEM, WINDOW, words
from tests.unit.engines.conftest import Variant, drive, finish

pytestmark = pytest.mark.mlx

KERNEL = words(2 * WINDOW, seed=99)
ADAPTER = {"rank": 4, "scale": 20.0, "dropout": 0.0}


def ask(
    sample: str, about: int = 0, *, tokens: int = 40, temperature: float = 0.0, seed: int = 0, **more: Any
) -> Request:
    """A request about prompt number `about`; prompts differ in length."""
    question = Message("user", words(6 + 5 * about, seed=about))
    more = {"kernel": KERNEL} | more
    return Request(sample, (question,), Sampling(temperature, 0.95, tokens), seed, **more)


def alone(folder: Path, request: Request, adapter: Path | None = None) -> tuple[int, ...]:
    """What plain mlx-lm says to the request: nothing shared, nothing batched, its own defaults."""
    loaded: Any = mlx_lm.load(str(folder), adapter_path=str(adapter) if adapter else None)
    model, tokenizer = loaded[0], loaded[1]
    turns = [{"role": "system", "content": request.kernel}] if request.kernel else []
    turns += [{"role": message.role, "content": message.content} for message in request.messages]
    prompt = mx.array(tokenizer.apply_chat_template(turns, add_generation_prompt=True))
    return tuple(int(token) for token, _ in generate_step(prompt, model, max_tokens=request.sampling.max_tokens))


def completion(ended: Finished) -> Completion:
    assert ended.error is None, ended.error
    assert ended.completion is not None
    return ended.completion


def tokens_of(ended: dict[str, Finished]) -> dict[str, tuple[int, ...]]:
    return {sample: completion(finished).token_ids for sample, finished in ended.items()}


@pytest.fixture(scope="module")
def loaded(model_folder: Path) -> Iterator[MlxEngine]:
    engine = MlxEngine(model_folder, slots=4, canary=False)
    engine.load()
    yield engine
    engine.close()


@pytest.fixture
def engine(loaded: MlxEngine) -> Iterator[MlxEngine]:
    """An engine with nothing in it."""
    loaded.unload()
    loaded.load()
    yield loaded


def make_adapter(model_folder: Path, folder: Path) -> Path:
    """Random LoRA weights, large enough to be heard."""
    model: Any = mlx_lm.load(str(model_folder))[0]
    model.freeze()
    linear_to_lora_layers(model, 2, ADAPTER)
    mx.random.seed(5)
    weights = {name: mx.random.normal(w.shape) * 0.2 for name, w in tree_flatten(model.trainable_parameters())}
    folder.mkdir()
    mx.save_safetensors(str(folder / "adapters.safetensors"), weights)
    (folder / "adapter_config.json").write_text(json.dumps({"num_layers": 2, "lora_parameters": ADAPTER}))
    return folder


def test_a_dialogue_is_read_with_all_its_turns(engine: MlxEngine, model_folder: Path) -> None:
    turns = tuple(Message(role, words(9, seed=n)) for n, role in enumerate(("user", "assistant", "user")))
    sampling = Sampling(0.0, 0.95, 30)
    whole = Request("whole", turns, sampling, 0, kernel=KERNEL)
    last = Request("last", turns[-1:], sampling, 0, kernel=KERNEL)
    ended = drive(engine, [whole, last])
    assert tokens_of(ended) == {"whole": alone(model_folder, whole), "last": alone(model_folder, last)}
    assert completion(ended["whole"]).prompt_tokens > completion(ended["last"]).prompt_tokens + 15


def test_greedy_output_in_a_ragged_batch_equals_each_prompt_alone(engine: MlxEngine, model_folder: Path) -> None:
    requests = [ask(f"s{n}", about=n % 5, tokens=40 + 7 * n) for n in range(7)]
    ended = drive(engine, requests)
    for request in requests:
        got = completion(ended[request.sample_id])
        assert got.prompt_tokens > 2 * WINDOW  # the kernel is longer than the sliding window
        assert got.token_ids == alone(model_folder, request)
        assert len(set(got.token_ids)) >= 28
    assert max(len(set(completion(finished).token_ids)) for finished in ended.values()) >= 30


def test_samples_of_one_prompt_differ_by_seed_and_repeat_with_the_same_seed(engine: MlxEngine) -> None:
    requests = [ask(f"s{seed}", temperature=0.9, seed=seed) for seed in range(4)]
    first, second = drive(engine, requests), drive(engine, requests)
    assert tokens_of(first) == tokens_of(second)
    assert len(set(tokens_of(first).values())) == 4


def test_a_seed_gives_the_same_tokens_beside_other_rows(engine: MlxEngine) -> None:
    request = ask("s", temperature=0.9, seed=3)
    by_itself = drive(engine, [request])
    others = [ask(f"o{n}", about=n, temperature=0.9, seed=n, tokens=20) for n in range(1, 4)]
    in_company = drive(engine, [*others, request])
    assert tokens_of(by_itself)["s"] == tokens_of(in_company)["s"]


def test_kernel_and_prompt_are_prefilled_once(engine: MlxEngine) -> None:
    requests = [ask(f"s{n}", about=n // 3, tokens=4) for n in range(6)]
    ended = {sample: completion(finished) for sample, finished in drive(engine, requests).items()}
    first, second = ended["s0"], ended["s3"]
    assert first.cached_tokens == 0
    assert 2 * WINDOW < second.cached_tokens < second.prompt_tokens - 1  # the kernel, not the question
    for fanned_out in ("s1", "s2", "s4", "s5"):
        assert ended[fanned_out].cached_tokens == ended[fanned_out].prompt_tokens - 1


def test_a_completion_tells_how_it_came_about(engine: MlxEngine) -> None:
    ended = drive(engine, [ask("a", tokens=8, seed=11), ask("b", about=1, tokens=8), ask("c", about=2, tokens=8)])
    got = completion(ended["a"])
    assert got.finish_reason is FinishReason.LENGTH
    assert set(got.batch_mates) == {"b", "c"}
    assert got.seed == 11
    assert got.placement is Placement.SYSTEM
    assert set(got.versions) == {"mlx", "mlx_lm", "chip"}
    assert 0 < got.time_to_first_token <= got.seconds
    assert got.tokens_per_second > 0
    assert got.text


def test_a_removed_sequence_ends_without_result_and_leaves_the_others_alone(
    engine: MlxEngine, model_folder: Path
) -> None:
    requests = [ask(f"s{n}", about=n) for n in range(6)]
    for request in requests:
        engine.add(request)
    for _ in range(12):
        engine.step()
    engine.remove("s1")  # decoding
    engine.remove("s5")  # waiting for a place
    engine.remove("unknown")
    ended = finish(engine, {"s0", "s2", "s3", "s4"})
    assert set(ended) == {"s0", "s2", "s3", "s4"}
    for request in requests:
        if request.sample_id in ended:
            assert completion(ended[request.sample_id]).token_ids == alone(model_folder, request)
    assert list(engine.step()) == []


def test_a_new_prompt_holds_up_the_rows_that_decode_by_one_chunk_a_step(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = MlxEngine(model_folder, slots=2, prefill_step=16, canary=False)
    engine.load()
    engine.add(ask("decoding", tokens=30, kernel=None))
    while not any(row.tokens for row in engine._live.values()):
        engine.step()
    fed: list[int] = []
    genuine = mlx_prefill.feed
    monkeypatch.setattr(mlx_prefill, "feed", lambda *given: (fed.append(len(given[2])), genuine(*given)))
    engine.add(ask("long", about=30, tokens=2))
    for step in range(1, 9):
        (decoding,) = (row for row in engine._live.values() if row.id == "decoding")
        before = len(decoding.tokens)
        engine.step()
        assert len(decoding.tokens) == before + 1
        assert fed == [16] * step
    finish(engine, {"decoding", "long"})
    assert sum(fed) > 200
    engine.close()


def test_a_prompt_on_a_cached_kernel_costs_the_decoding_rows_one_chunk(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = MlxEngine(model_folder, slots=8, prefill_step=64, canary=False)
    engine.load()
    engine.add(ask("decoding", tokens=60))
    while not any(row.tokens for row in engine._live.values()):
        engine.step()
    fed: list[int] = []
    genuine = mlx_prefill.feed
    monkeypatch.setattr(mlx_prefill, "feed", lambda *given: (fed.append(len(given[2])), genuine(*given)))
    for sample in range(4):
        engine.add(ask(f"new-{sample}", about=3, tokens=30))
    engine.step()
    assert len(fed) == 1
    assert fed[0] <= 64
    assert len(engine._live) == 5  # the whole fan-out at once
    engine.step()
    assert all(row.tokens for row in engine._live.values())
    assert len(fed) == 1
    engine.close()


def test_prompt_tokens_are_counted_by_where_they_came_from(engine: MlxEngine) -> None:
    ended = drive(engine, [ask(f"s{n}", about=n // 3, tokens=4) for n in range(6)])
    first, second = completion(ended["s0"]), completion(ended["s3"])
    counts = engine.counts
    assert counts["computed"] == first.prompt_tokens + second.prompt_tokens - second.cached_tokens + 4
    asked = 3 * first.prompt_tokens + 3 * second.prompt_tokens
    assert counts["computed"] + counts["cached"] == asked
    assert counts["decoded"] == 6 * 4
    assert counts["hits"] == 6 + 1  # every sample its prompt, the second prompt its kernel
    engine.load()
    assert engine.counts["computed"] == engine.counts["cached"] == engine.counts["decoded"] == 0


def test_answers_run_to_their_length_where_stops_are_ignored(model_folder: Path, variant: Variant) -> None:
    said = alone(model_folder, ask("s"))
    engine = MlxEngine(variant(eos_token_id=[said[7]]), slots=2, canary=False, ignore_stops=True)
    engine.load()
    assert completion(drive(engine, [ask("s")])["s"]).token_ids == said
    engine.close()


def test_requests_with_an_adapter_run_after_the_batch_is_drained(
    engine: MlxEngine, model_folder: Path, tmp_path: Path
) -> None:
    adapter = make_adapter(model_folder, tmp_path / "adapter")
    mixed = [ask(f"s{n}", about=n, tokens=24, adapter=adapter if n % 2 else None) for n in range(6)]
    ended = drive(engine, mixed)
    for request in mixed:
        got = completion(ended[request.sample_id])
        assert got.token_ids == alone(model_folder, request, request.adapter)
        mates = {int(mate[1:]) % 2 for mate in got.batch_mates}
        assert mates <= {int(request.sample_id[1:]) % 2}
    assert alone(model_folder, mixed[1]) != completion(ended["s1"]).token_ids  # the adapter is heard
    back = drive(engine, [ask("back", about=1, tokens=24)])
    assert completion(back["back"]).token_ids == alone(model_folder, ask("back", about=1, tokens=24))


def test_a_steady_stream_for_one_adapter_does_not_starve_the_other(
    engine: MlxEngine, model_folder: Path, tmp_path: Path
) -> None:
    adapter = make_adapter(model_folder, tmp_path / "adapter")
    engine.add(ask("base-0", tokens=3))
    engine.step()
    engine.add(ask("adapter", tokens=3, adapter=adapter))
    sent = 0
    for sent in range(1, 200):  # one more for the base model at every step
        engine.add(ask(f"base-{sent}", tokens=3))
        if any(finished.sample_id == "adapter" for finished in engine.step()):
            break
    assert sent < 100


def test_a_broken_adapter_fails_its_requests_only(engine: MlxEngine, tmp_path: Path) -> None:
    missing = tmp_path / "no-such-adapter"
    ended = drive(engine, [ask("bad", adapter=missing, tokens=4), ask("good", tokens=4)])
    error = ended["bad"].error
    assert isinstance(error, EngineFailure)
    assert str(missing) in str(error)
    assert completion(ended["good"]).finish_reason is FinishReason.LENGTH


def test_a_prompt_longer_than_the_context_comes_back_as_such(variant: Variant) -> None:
    engine = MlxEngine(variant(max_position_embeddings=200), slots=2, canary=False)
    engine.load()
    ended = drive(engine, [ask("long", tokens=150), ask("short", tokens=8, kernel=None)])
    error = ended["long"].error
    assert isinstance(error, PromptTooLong)
    assert "context of 200" in str(error)
    assert "long" in str(error)
    completion(ended["short"])
    engine.close()


def test_an_error_while_decoding_fails_the_live_rows_and_the_engine_lives_on(
    engine: MlxEngine, model_folder: Path
) -> None:
    def fail_at_its_fourth(logits: mx.array, draws: Sequence[Draw]) -> mx.array:
        if any(one.seed == 666 and one.position == 3 for one in draws):
            raise RuntimeError("boom")
        return draw(logits, draws)

    engine._batch.draw = fail_at_its_fourth
    requests = [ask("bad", seed=666), *(ask(f"s{n}", tokens=16) for n in range(6))]
    for request in requests:
        engine.add(request)
    ended: dict[str, Finished] = {}
    while not ended:
        ended = {finished.sample_id: finished for finished in engine.step()}
    assert set(ended) == {"bad", "s0", "s1", "s2"}  # four slots
    assert all(isinstance(finished.error, EngineFailure) for finished in ended.values())
    assert "boom" in str(ended["bad"].error)
    assert engine._batch.nbytes == 0  # nothing of the broken batch lives on
    expected = alone(model_folder, requests[1])
    assert set(tokens_of(finish(engine, {"s3", "s4", "s5"})).values()) == {expected}
    assert tokens_of(drive(engine, [requests[1]])) == {"s0": expected}


def test_an_error_while_prefilling_fails_that_prompt_only(engine: MlxEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = engine_module.PromptStore.advance

    def advance(store: Any, prompt: Any) -> Any:
        if len(prompt.tokens) > 300:
            raise RuntimeError("no room")
        return genuine(store, prompt)

    monkeypatch.setattr(engine_module.PromptStore, "advance", advance)
    ended = drive(engine, [ask("bad", about=60, tokens=4), ask("good", tokens=4)])
    assert isinstance(ended["bad"].error, EngineFailure)
    completion(ended["good"])


def test_a_request_without_tokens_to_make_comes_back_as_a_failure(engine: MlxEngine) -> None:
    ended = drive(engine, [ask("none", tokens=0)])
    assert isinstance(ended["none"].error, EngineFailure)


def test_a_stop_token_ends_the_answer_and_is_no_part_of_it(
    engine: MlxEngine, model_folder: Path, variant: Variant
) -> None:
    said = alone(model_folder, ask("s"))
    place = next(at for at in range(5, len(said)) if said[at] not in said[:at])
    stopping = MlxEngine(variant(eos_token_id=[said[place]]), slots=2, canary=False)
    stopping.load()
    got = completion(drive(stopping, [ask("s")])["s"])
    assert got.finish_reason is FinishReason.STOP
    assert got.token_ids == said[:place]
    stopping.close()


def test_a_model_that_goes_in_circles_is_cut(variant: Variant) -> None:
    folder = variant()
    weights: Any = mx.load(str(folder / "model.safetensors"))
    silent = {name: w * 0 if "o_proj" in name or "down_proj" in name else w for name, w in weights.items()}
    mx.eval(silent)  # before the file that they come from is written anew
    mx.save_safetensors(str(folder / "model.safetensors"), silent, metadata={"format": "mlx"})
    engine = MlxEngine(folder, slots=2, canary=False)
    engine.load()
    got = completion(drive(engine, [ask("s", tokens=600)])["s"])
    assert got.finish_reason is FinishReason.REPETITION
    assert 100 < len(got.token_ids) < 600
    completion(drive(engine, [ask("next", tokens=4)])["next"])
    engine.close()


def test_a_template_that_refuses_a_system_role_gets_the_kernel_before_the_question(variant: Variant) -> None:
    folder = variant()
    (folder / "chat_template.jinja").write_text(TEMPLATE_WITHOUT_SYSTEM)
    engine = MlxEngine(folder, slots=2, canary=False)
    engine.load()
    ended = drive(engine, [ask("a", tokens=4), ask("b", about=1, tokens=4), ask("none", tokens=4, kernel=None)])
    assert completion(ended["a"]).placement is Placement.USER
    assert completion(ended["b"]).cached_tokens > 2 * WINDOW  # the kernel is shared there, too
    assert completion(ended["none"]).placement is Placement.NONE
    engine.close()


def test_unload_frees_the_model_and_load_brings_it_back(engine: MlxEngine) -> None:
    before = tokens_of(drive(engine, [ask("s", tokens=8)]))
    held = mx.get_active_memory()
    weights = engine.load().weights_bytes
    engine.add(ask("forgotten"))
    engine.step()
    engine.unload()
    assert mx.get_active_memory() <= held - weights
    assert list(engine.step()) == []
    engine.load()
    assert tokens_of(drive(engine, [ask("s", tokens=8)])) == before


def test_load_sizes_the_batch_and_listens_to_the_canary(model_folder: Path) -> None:
    engine = MlxEngine(model_folder)
    facts = engine.load()
    assert 1 < facts.slots == engine.slots <= facts.details["slots_by_memory"]
    assert facts.context_tokens == 32768
    assert facts.weights_bytes > 0 < facts.bytes_per_sample
    canary = facts.details["canary"]
    assert canary["verdict"] == "identical"
    assert canary["distinct"] >= 30
    engine.close()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights"),
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"cut short"), "cannot be loaded"),
        (lambda folder: (folder / "chat_template.jinja").unlink(), "no chat template"),
    ],
)
def test_a_folder_that_lacks_something_is_refused_with_what_to_do(variant: Variant, spoil: Any, says: str) -> None:
    folder = variant()
    spoil(folder)
    with pytest.raises(ModelError, match=says) as refusal:
        MlxEngine(folder).load()
    assert str(folder) in str(refusal.value)


def test_an_unknown_architecture_is_refused_by_name(variant: Variant) -> None:
    with pytest.raises(ModelError, match=r"no_such_model.*choose another model"):
        MlxEngine(variant(model_type="no_such_model")).load()


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="lemfarm model get"):
        MlxEngine(tmp_path / "nowhere").load()


_IN_A_THREAD = """
import sys, threading
from pathlib import Path
from lemfarm.dialogue import Message
from lemfarm.engines.base import Request, Sampling
from lemfarm.engines.mlx import MlxEngine

def live():
    engine = MlxEngine(Path(sys.argv[1]), slots=2)
    engine.load()
    for n in range(3):
        engine.add(Request(f"s{n}", (Message("user", "listen " * (n + 1)),), Sampling(0.8, 0.95, 6), n))
    ended = 0
    while ended < 3:
        ended += sum(finished.completion is not None for finished in engine.step())
    engine.close()
    print("all", ended)

thread = threading.Thread(target=live)
thread.start()
thread.join()
"""


def test_an_engine_that_lived_in_another_thread_lets_the_process_end_cleanly(model_folder: Path) -> None:
    command = [sys.executable, "-c", _IN_A_THREAD, str(model_folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "all 3"), done.stderr
