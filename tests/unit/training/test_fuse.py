"""Fused models: the same as base model and adapter, loaded by stock mlx-lm, whole or not at all."""

import json
from pathlib import Path

import mlx.core as mx
import mlx_lm
import pytest

from lemfarm.connections import Connections
from lemfarm.errors import InputError, ModelError, ModelMismatch, NotFound
from lemfarm.home import Home
from lemfarm.training.chosen import adapter_folder, base_model, choose_adapter
from lemfarm.training.errands import ErrandFailed
from lemfarm.training.fuse import Comparison, Fused, FuseRefused, fuse, read_origin
from lemfarm.training.lora_fuse import compare, fuse_model
from tests.finished_run import DATASET, VERSIONS, FinishedRun

pytestmark = pytest.mark.mlx

PROMPT = "What do you owe a stranger?"


@pytest.fixture(scope="module")
def run(model: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    made = FinishedRun(tmp_path_factory.mktemp("farm"), model)
    made.train()
    made.train()
    return made


@pytest.fixture(scope="module")
def fused(run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Fused:
    return fuse_run(run, tmp_path_factory.mktemp("fused") / "model")


def fuse_run(run: FinishedRun, folder: Path, *, dequantize: bool = False) -> Fused:
    chosen = choose_adapter(run.ground.database, None)
    adapter = run.home.adapters / chosen.id
    return fuse(chosen.origin, run.model, adapter, folder, dequantize=dequantize, hear=lambda said: None)


def answer(folder: Path, adapter: Path | None = None) -> str:
    network, tokenizer = mlx_lm.load(str(folder), adapter_path=str(adapter) if adapter else None)[:2]
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": PROMPT}], add_generation_prompt=True)
    return mlx_lm.generate(network, tokenizer, prompt, max_tokens=12)


def test_stock_mlx_lm_loads_it_and_it_answers_as_base_and_adapter_do(fused: Fused, run: FinishedRun) -> None:
    said = answer(fused.folder)
    assert said == answer(run.model.folder, run.home.adapters / run.adapters[-1])
    assert said != answer(run.model.folder)


def test_it_is_equal_but_for_rounding_where_weights_have_32_bits(fused: Fused) -> None:
    found = fused.comparison
    assert found.is_exact and found.objection is None and found.lost == 0.0
    assert (found.precision, found.requantized, found.places, found.same_token) == ("float32", False, 64, 1.0)
    assert found.distance < 1e-4 < found.distance_of_base


def test_it_says_what_it_came_of_without_naming_a_place(fused: Fused, run: FinishedRun) -> None:
    origin, _ = read_origin(fused.folder)
    assert origin == fused.origin
    assert (origin.run, origin.phase, origin.adapter) == ("tiny", "second", run.adapters[1])
    assert (origin.model, origin.on_hub, origin.model_hash) == ("tiny", False, run.model.content_hash)
    assert [(one.phase, one.adapter, one.dataset) for one in origin.phases] == [
        ("first", run.adapters[0], DATASET),
        ("second", run.adapters[1], DATASET),
    ]
    assert (origin.phases[1].rows, origin.phases[1].loss, origin.phases[1].updates) == ((18, 2), (3.0, 2.5), 4)
    assert origin.phases[1].settings["learning_rate"] == 2e-5
    assert origin.versions == VERSIONS
    assert str(run.model.folder.parent) not in (fused.folder / "lemfarm.json").read_text()


def test_the_tokenizer_stays_byte_by_byte(fused: Fused, run: FinishedRun) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (fused.folder / name).read_bytes() == (run.model.folder / name).read_bytes()


@pytest.fixture
def quantized(model: Path, tmp_path: Path) -> FinishedRun:
    """A run on 4 bits whose adapter changes less than rounding to 4 bits does."""
    mlx_lm.convert(str(model), str(tmp_path / "q4"), quantize=True, q_bits=4, dtype="float32")
    run = FinishedRun(tmp_path / "farm", tmp_path / "q4")
    run.train(strength=0.003)
    return run


def test_quantizing_again_is_refused_where_that_loses_the_adapter(quantized: FinishedRun, tmp_path: Path) -> None:
    with pytest.raises(FuseRefused, match=r"quantizing the weights again loses the adapter.*--dequantize"):
        fuse_run(quantized, tmp_path / "fused")
    assert not list(tmp_path.glob("*fused*"))


def test_without_the_quantization_nothing_is_lost(quantized: FinishedRun, tmp_path: Path) -> None:
    # In this process: what a child does is one thing, and tested above.
    adapter = quantized.home.adapters / quantized.adapters[0]
    found = Comparison(**fuse_model(quantized.model.folder, adapter, tmp_path / "fused", dequantize=True))
    assert found.is_exact and not found.requantized
    assert "quantization" not in json.loads((tmp_path / "fused" / "config.json").read_text())


def test_a_child_that_fails_is_told_in_one_line_and_leaves_nothing(run: FinishedRun, tmp_path: Path) -> None:
    chosen = choose_adapter(run.ground.database, None)
    with pytest.raises(ErrandFailed, match=r"FileNotFoundError: .*adapter_config.json") as raised:
        fuse(chosen.origin, run.model, tmp_path, tmp_path / "fused", hear=lambda said: None)
    assert "Traceback" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_refused_before_any_work(run: FinishedRun, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists already"):
        fuse_run(run, tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        fuse_run(run, tmp_path / "no" / "where")


# ---- which adapter


@pytest.mark.parametrize("given", [None, "tiny"])
def test_a_run_means_what_it_has_promoted(run: FinishedRun, given: str | None) -> None:
    assert choose_adapter(run.ground.database, given).id == run.adapters[1]


def test_an_adapter_is_named_by_its_phase_or_by_the_beginning_of_its_id(run: FinishedRun) -> None:
    database, first = run.ground.database, run.adapters[0]
    assert choose_adapter(database, "tiny", "first").id == first
    assert choose_adapter(database, first[:8]).id == first
    assert [one.phase for one in choose_adapter(database, first).origin.phases] == ["first"]


@pytest.mark.parametrize(
    ("given", "phase", "error", "says"),
    [
        ("nobody", None, NotFound, "there is no run 'nobody'; known: tiny; nor does an adapter's id"),
        ("tiny", "third", NotFound, "phases that have: first, second"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    run: FinishedRun, given: str, phase: str | None, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        choose_adapter(run.ground.database, given, phase)


def test_a_phase_beside_an_adapter_is_refused(run: FinishedRun) -> None:
    with pytest.raises(InputError, match="leave --phase out"):
        choose_adapter(run.ground.database, run.adapters[0], "first")


def test_a_run_that_has_promoted_nothing_says_so(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has promoted no adapter yet"):
        choose_adapter(FinishedRun(tmp_path, model).ground.database, None)


def test_another_model_of_that_name_is_refused(run: FinishedRun, tmp_path: Path) -> None:
    chosen = choose_adapter(run.ground.database, None)
    other = tmp_path / "other"
    other.mkdir()
    for path in run.model.folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes() + b" " * (path.name == "tokenizer_config.json"))
    with pytest.raises(ModelMismatch):
        base_model(chosen, run.home, {str(run.model.folder): other})


def test_an_adapter_that_lies_elsewhere_is_not_made_up(run: FinishedRun, tmp_path: Path) -> None:
    chosen = choose_adapter(run.ground.database, None)
    with pytest.raises(ModelError, match="Run this on the machine that trained it"):
        adapter_folder(chosen, Home(tmp_path), Connections("sqlite://", None, embedded_broker=True))


# ---- how near is near enough


def compared(**changes: float | str | bool) -> Comparison:
    usual = {"precision": "bfloat16", "requantized": False, "places": 64, "largest_difference": 1.0, "logit_sd": 3.0}
    return Comparison(**(usual | {"same_token": 0.9, "distance": 0.1, "distance_of_base": 0.4} | changes))  # type: ignore[arg-type]


def test_the_loss_is_told_as_a_share_of_what_the_adapter_changes() -> None:
    assert compared().lost == pytest.approx(0.25)
    assert compared().objection is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"distance": 0.4}, "rounding the weights to bfloat16 loses the adapter"),
        ({"distance": 0.4, "requantized": True}, "--dequantize keeps it"),
        ({"distance_of_base": 0.0}, "loses the adapter"),
        ({"precision": "float32"}, "an error of the libraries"),
    ],
)
def test_a_model_no_nearer_than_the_untrained_one_is_objected_to(changes: dict[str, float], says: str) -> None:
    assert says in (compared(**changes).objection or "")


def test_equal_distributions_have_no_distance_and_a_shifted_one_has() -> None:
    logits = mx.random.normal((5, 11), key=mx.random.key(1))
    same = compare(logits, logits + 1.0, logits)
    assert (same["distance"], same["largest_difference"], same["same_token"]) == (0.0, 0.0, 1.0)
    assert same["distance_of_base"] == pytest.approx(0.0, abs=1e-6)  # a shift of all logits changes no probability
    assert compare(logits, logits, -logits)["distance"] > 0.1


@pytest.mark.parametrize("content", ["{}", "[]", "no json", '{"kind": "fused-model", "origin": {}}'])
def test_a_damaged_origin_is_an_error_that_names_the_file(content: str, tmp_path: Path) -> None:
    (tmp_path / "lemfarm.json").write_text(content)
    with pytest.raises(ModelError, match=r"lemfarm\.json"):
        read_origin(tmp_path)


def test_a_folder_of_other_making_has_no_origin(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="`lemfarm fuse` did not make this folder"):
        read_origin(tmp_path)
