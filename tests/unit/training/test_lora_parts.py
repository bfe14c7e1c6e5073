"""The parts of the trainer that need MLX but no child process."""

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

import mlx.core as mx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx.utils import tree_flatten

from lemfarm.training.adapters import CONFIG, WEIGHTS, AdapterManifest, seal
from lemfarm.training.lora import Stopped, prepare_rows, require_batch, train_job
from lemfarm.training.lora_model import OPTIMIZERS, adapter_config, load_model, make_optimizer
from lemfarm.training.lora_rows import (
    Batches,
    LoraProblem,
    Row,
    part_by_length,
    spread,
    to_arrays,
    tokenize,
    training_order,
)
from tests.unit.training.conftest import MakeJob, make_examples

pytestmark = pytest.mark.mlx


def rows(*lengths: int) -> list[Row]:
    return [Row(f"s{n}", tuple(range(1, length + 1)), 1) for n, length in enumerate(lengths)]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=25), st.integers(1, 6), st.integers(0, 2**40))
def test_every_row_is_seen_equally_often(lengths: list[int], batch_size: int, seed: int) -> None:
    batches = list(islice(training_order(lengths, batch_size, seed), 4 * len(lengths)))
    assert all(len(batch) == batch_size for batch in batches)
    seen = Counter(place for batch in batches for place in batch)
    assert max(seen.values()) - min(seen[place] for place in range(len(lengths))) <= 2


def test_the_order_depends_on_the_seed_alone() -> None:
    lengths = list(range(20))
    first = list(islice(training_order(lengths, 3, 5), 30))
    assert first == list(islice(training_order(lengths, 3, 5), 30))
    assert first != list(islice(training_order(lengths, 3, 6), 30))
    assert first[:6] != first[7:13]


def test_the_loss_covers_the_answer_and_no_padding() -> None:
    # Given a row of 5 tokens of which 2 are the prompt, when batched, then targets 2 to 4 count: the answer's three.
    tokens, bounds = to_arrays([Row("a", (9, 8, 7, 6, 5), 2), Row("b", (1, 2, 3), 1)], max_seq_length=100)
    assert tokens.shape == (2, 33)
    assert bounds.tolist() == [[2, 4], [1, 2]]
    assert tokens.tolist()[1][:4] == [1, 2, 3, 0]


def test_a_row_of_exactly_the_limit_is_kept_whole() -> None:
    fitting, refused = part_by_length(rows(100, 101), 100)
    assert [len(row.tokens) for row in fitting] == [100] and refused == {"s1": 101}
    assert to_arrays(fitting, 100)[0].shape == (1, 100)


def test_validation_sees_every_row_once_or_an_even_spread() -> None:
    batches = Batches(seed=1, check=lambda: None)
    assert [bounds.shape[0] for _, bounds in batches(rows(3, 4, 5), 2, 64)] == [2, 1]
    assert [row.sample_id for row in spread(rows(*[3] * 10), 4)] == ["s0", "s2", "s5", "s7"]
    assert spread(rows(3, 4), 9) == rows(3, 4)


def test_the_last_training_batch_is_remembered_and_a_stop_is_heard_before_each() -> None:
    asked: list[int] = []
    batches = Batches(seed=1, check=lambda: asked.append(1))
    *_, (_, bounds) = islice(batches(rows(3, 4, 5, 6), 1, 64, loop=True), 4)
    assert len(asked) == batches.made == 4
    assert batches.recent == (f"s{bounds[0, 1].item() - 2}",)


def test_batches_that_begin_later_are_those_that_were_left() -> None:
    # Given 7 rows in batches of 2, when begun after ten batches, then rows and random numbers are those of the others.
    def some(made: int, count: int) -> list[tuple[object, object]]:
        batches = Batches(seed=1, check=lambda: None)
        batches.made = made
        found = islice(batches(rows(*range(3, 10)), 2, 64, loop=True), count)
        return [(tokens.tolist(), mx.random.uniform().item()) for tokens, _ in found]

    assert some(10, 5) == some(0, 15)[10:]
    assert len({str(one) for one in some(0, 15)}) == 15


class Template:
    """A chat template of our own making."""

    def __init__(self, prompt: list[int], whole: list[int]) -> None:
        self.prompt, self.whole = prompt, whole

    def apply_chat_template(self, messages: Any, **options: Any) -> list[int]:
        return self.prompt if options.get("add_generation_prompt") else self.whole


def test_a_template_that_rewrites_the_prompt_is_refused_by_sample_id() -> None:
    row = {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}
    with pytest.raises(LoraProblem, match=r"sample abc: .*mask_prompt") as problem:
        tokenize(["abc"], [row], Template([1, 9], [1, 2, 3]), mask_prompt=True)
    assert problem.value.sample_ids == ("abc",)
    assert tokenize(["abc"], [row], Template([1, 9], [1, 2, 3]), mask_prompt=False) == [Row("abc", (1, 2, 3), 0)]


def test_too_few_rows_after_refusals_name_the_refused(make_job: MakeJob) -> None:
    job = make_job(make_examples(2, 2, answer_words=300))
    _, tokenizer = load_model(job)
    train, valid, refused = prepare_rows(job, tokenizer)
    assert (train, valid) == ([], []) and sorted(refused) == ["P00-0", "P00-1", "P01-0", "P01-1"]
    with pytest.raises(LoraProblem, match=r"0 training rows are left.*max_seq_length 128: .*P00-0 \(\d+ tokens\)"):
        require_batch(job, train, valid, refused)


def test_a_dataset_other_than_the_jobs_is_refused(make_job: MakeJob) -> None:
    job = make_job(dataset_hash="b2:other")
    with pytest.raises(LoraProblem, match="the job is about b2:other"):
        prepare_rows(job, None)


@pytest.mark.parametrize("layers", [0, -2, 7])
def test_a_number_of_layers_the_model_does_not_have_is_refused(make_job: MakeJob, layers: int) -> None:
    with pytest.raises(LoraProblem, match=rf"num_layers is {layers}; this model has 6 layers"):
        load_model(make_job(num_layers=layers))


def test_only_the_named_layers_are_trained(make_job: MakeJob) -> None:
    model, _ = load_model(make_job(num_layers=-1, keys=("self_attn.q_proj",)))
    names = [name for name, _ in tree_flatten(model.trainable_parameters())]
    assert len(names) == 6 * 2 and all("self_attn.q_proj.lora_" in name for name in names)
    with pytest.raises(LoraProblem, match="nothing would be trained"):
        load_model(make_job(keys=("self_attn.w_pack",)))


def test_a_folder_that_is_no_model_is_named(make_job: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(LoraProblem, match="empty: the model cannot be loaded"):
        load_model(make_job(model=tmp_path / "empty"))


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_has_the_phases_rate(make_job: MakeJob, name: str) -> None:
    assert make_optimizer(make_job(optimizer=name)).learning_rate.item() == pytest.approx(5e-3)


def test_an_unknown_optimizer_names_those_there_are(make_job: MakeJob) -> None:
    with pytest.raises(LoraProblem, match=r"'adammm'; there are adafactor, adam, adamw"):
        make_optimizer(make_job(optimizer="adammm"))


def sealed_parent(
    make_job: MakeJob, folder: Path, rename: tuple[str, str] = ("", ""), **changes: Any
) -> dict[str, Any]:
    """A finished adapter with the shapes of the job, perhaps with tensors under wrong names or other settings."""
    job = make_job(**changes)
    folder.mkdir()
    weights = dict(tree_flatten(load_model(job)[0].trainable_parameters()))
    mx.save_safetensors(str(folder / WEIGHTS), {name.replace(*rename): value + 1 for name, value in weights.items()})
    (folder / CONFIG).write_text(json.dumps(adapter_config(job)))
    return {"parent": folder, "parent_id": seal(folder, job="b2:j", dataset="b2:d").id}


def test_the_parents_weights_are_where_training_starts(make_job: MakeJob, tmp_path: Path) -> None:
    parent = sealed_parent(make_job, tmp_path / "parent")
    model, _ = load_model(make_job(**parent))
    weights = dict(tree_flatten(model.trainable_parameters()))
    saved = mx.load(str(tmp_path / "parent" / WEIGHTS))
    assert isinstance(saved, dict)
    assert all(mx.array_equal(weights[name], saved[name]).item() for name in saved)


def test_a_wrong_name_in_the_parent_is_an_error(make_job: MakeJob, tmp_path: Path) -> None:
    parent = sealed_parent(make_job, tmp_path / "parent", rename=("lora_a", "lora_c"))
    with pytest.raises(LoraProblem, match=r"does not fit this model: .*lora_a is missing"):
        load_model(make_job(**parent))


@pytest.mark.parametrize("changed", [{"rank": 8}, {"scale": 2.0}, {"num_layers": 3}, {"model_hash": "b2:else"}])
def test_what_is_fixed_for_a_course_may_not_change(make_job: MakeJob, tmp_path: Path, changed: dict[str, Any]) -> None:
    parent = sealed_parent(make_job, tmp_path / "parent")
    with pytest.raises(LoraProblem, match="fixed for a whole course"):
        load_model(make_job(**parent, **changed))
    load_model(make_job(**parent, dropout=0.3))


def test_a_parent_with_another_id_is_refused(make_job: MakeJob, tmp_path: Path) -> None:
    parent = sealed_parent(make_job, tmp_path / "parent")
    with pytest.raises(LoraProblem, match="the job continues feed"):
        load_model(make_job(**(parent | {"parent_id": "feed"})))


def train_here(make_job: MakeJob, folder: Path, **changes: Any) -> AdapterManifest:
    folder.mkdir()
    return train_job(make_job(**changes), folder, lambda event: None, Event())


def test_looking_at_the_loss_more_often_does_not_change_the_training(make_job: MakeJob, tmp_path: Path) -> None:
    # Given the same job with dropout, validated once and validated always, then the weights are the same, bit by bit.
    often = train_here(make_job, tmp_path / "often", dropout=0.2, steps_per_eval=1, save_every=1)
    once = train_here(make_job, tmp_path / "once", dropout=0.2, steps_per_eval=4, save_every=9)
    assert often.id == once.id
    assert len(often.losses("valid_loss")) == 5 and len(once.losses("valid_loss")) == 2
    assert often.losses("valid_loss")[-1] == once.losses("valid_loss")[-1]


def test_another_seed_makes_another_adapter(make_job: MakeJob, tmp_path: Path) -> None:
    manifests = [train_here(make_job, tmp_path / str(seed), seed=seed, iterations=1) for seed in (1, 2)]
    assert manifests[0].id != manifests[1].id


def test_a_stop_before_the_first_batch_ends_it(make_job: MakeJob, tmp_path: Path) -> None:
    stop = Event()
    stop.set()
    with pytest.raises(Stopped):
        train_job(make_job(), tmp_path, lambda event: None, stop)
