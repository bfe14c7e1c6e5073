"""The page of a published model: complete, honest about what is not shown, and free of places on a disk."""

from dataclasses import replace

import pytest
import yaml

from lemfarm.evaluation.statistics import bootstrap_mean
from lemfarm.training.chosen import Origin, TrainedPhase
from lemfarm.training.model_card import CardFacts, Compared, Measured, model_card

BEFORE = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0]
SETTINGS = {"learning_rate": 2e-5, "iterations": 100, "rank": 16, "scale": 16.0}
PHASES = tuple(
    TrainedPhase(name, mark * 32, f"b2:{mark * 32}", (18, 2), 80, (3.0, 2.5), SETTINGS)
    for name, mark in (("0-baseline", "a"), ("1-deep", "c"))
)
ORIGIN = Origin(
    run="lek",
    phase="1-deep",
    adapter="c" * 32,
    model="someone/base-4bit",
    model_hash="b2:" + "e" * 32,
    commit="0123abcd",
    on_hub=True,
    kernels=("b2:" + "f" * 32,),
    config_hash="b2:" + "9" * 32,
    sampling={"temperature": 0.8, "seed": 42},
    phases=PHASES,
    versions={"mlx": "0.0.1"},
    lemfarm="0.0.3",
)


def measured(values: list[float], split: str = "held_out", missing: int = 0) -> Measured:
    by_probe = {f"P{number}": value for number, value in enumerate(values)}
    return Measured("baseline", split, "v2", bootstrap_mean(values), by_probe, missing)


def facts(*evaluations: Compared, kind: str = "adapter") -> CardFacts:
    return CardFacts("ours/lek", kind, ORIGIN, evaluations, "gemma", "someone/base-4bit", ("ours/answers",))


def change(*steps: float, split: str = "held_out") -> Compared:
    before = BEFORE[: len(steps)]
    return Compared(
        measured([old + step for old, step in zip(before, steps, strict=True)], split), measured(before, split)
    )


def test_the_front_matter_is_what_the_hub_reads() -> None:
    data = yaml.safe_load(model_card(facts()).split("---\n")[1])
    assert data["base_model"] == "someone/base-4bit"
    assert (data["license"], data["library_name"], data["base_model_relation"]) == ("gemma", "mlx", "adapter")
    assert data["datasets"] == ["ours/answers"]
    assert {"mlx", "lora"} <= set(data["tags"])


def test_what_is_not_known_is_left_out_of_the_front_matter() -> None:
    card = model_card(replace(facts(kind="fused"), licence=None, base_model=None, datasets=()))
    assert yaml.safe_load(card.split("---\n")[1]).keys() == {"library_name", "pipeline_tag", "tags"}


def test_scores_stand_with_intervals_and_the_paired_change() -> None:
    card = model_card(facts(change(2, 2, 2, 2, 2, 2), change(5, 5, split="trained")))
    assert "| baseline | held out | 6 | 12.50 [11.17, 13.83] | 14.50 [13.17, 15.83] | +2.00 [+2.00, +2.00] |" in card
    assert card.index("| held out |") < card.index("| trained on |")
    assert "no change is shown" not in card


@pytest.mark.parametrize(
    ("evaluation", "says"),
    [
        (change(2, -2, 1, -1, 2, -2), "on held-out probes no change is shown: its interval holds zero"),
        (change(2, 2), "2 held-out probes are too few to show a change"),
        (change(2, 2, 2, 2, 2, 2, split="trained"), "No probe was held out"),
        (Compared(measured(BEFORE, missing=3), None), "3 answers have no score and are in no mean"),
        (Compared(measured(BEFORE), None), "| not measured |"),
        (Compared(measured([12.0]), None), "| 12.00 |"),
    ],
)
def test_a_figure_is_not_read_as_more_than_it_is(evaluation: Compared, says: str) -> None:
    assert says in model_card(facts(evaluation))


def test_without_an_evaluation_the_page_says_so() -> None:
    assert "No evaluation of this model is recorded." in model_card(facts())


def test_training_and_origin_can_be_followed() -> None:
    card = model_card(facts())
    assert "| 1-deep | 18, 2 | 80 | 3.000 → 2.500 | 2e-05 | 100 | `cccccccccc` |" in card
    assert "0-baseline → 1-deep" in card
    for name in (
        "someone/base-4bit at 0123abcd",
        ORIGIN.config_hash,
        "temperature 0.8, seed 42",
        "mlx 0.0.1",
        "c" * 32,
    ):
        assert name in card


def test_a_fused_model_says_how_to_use_it_and_what_fusing_cost() -> None:
    found = {"requantized": True, "precision": "bfloat16", "same_token": 0.9, "places": 64}
    comparison = found | {"distance": 0.012, "distance_of_base": 0.4}
    card = model_card(replace(facts(kind="fused"), comparison=comparison))
    assert "mlx_lm.generate --model ours/lek --prompt" in card
    assert "quantized again: the likeliest token is the adapter's at 90.0% of 64 places" in card
    assert "--adapter-path" not in card


def test_an_adapter_names_its_base_model_to_whoever_uses_it() -> None:
    assert "mlx_lm.generate --model someone/base-4bit --adapter-path ADAPTER" in model_card(facts())
    assert "FOLDER-OF-THE-BASE-MODEL" in model_card(replace(facts(), base_model=None))


def test_a_pipe_in_a_name_does_not_break_the_table() -> None:
    phase = replace(PHASES[0], phase="a|b")
    assert "| a\\|b |" in model_card(replace(facts(), origin=replace(ORIGIN, phases=(phase,))))


def test_an_origin_survives_json() -> None:
    import json

    assert Origin.from_dict(json.loads(json.dumps(ORIGIN.to_dict()))) == ORIGIN
