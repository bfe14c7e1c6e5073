"""What a claim refers to: wording, kernel, sampling, adapter, and the rules of its phase as they are now."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lemfarm.dialogue import Message, Placement
from lemfarm.engines.base import Sampling
from lemfarm.errors import EngineFailure, NotFound
from lemfarm.records import Purpose
from tests.ground import RUN_FILE, Ground
from workers import library as module
from workers.library import Library


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    yield made
    made.database.close()


@pytest.fixture
def library(ground: Ground) -> Library:
    return Library(ground.database, ground.home)


def give_answers(ground: Ground, answers: dict[str, object]) -> None:
    """Write right answers into the probe file."""
    path = ground.folder / "probes.jsonl"
    probes = [json.loads(line) for line in path.read_text().splitlines()]
    found = [probe | ({"correct_answer": answers[probe["id"]]} if probe["id"] in answers else {}) for probe in probes]
    path.write_text("".join(json.dumps(probe) + "\n" for probe in found))


def test_a_request_is_all_that_the_row_says(ground: Ground, library: Library) -> None:
    ground.plan()
    claim = ground.claim(ground.ids()[0])
    request = library.request(claim)
    assert request.sample_id == claim.sample_id
    assert request.messages == (Message("user", "What is 0?"),)
    assert request.sampling == Sampling(0.8, 0.95, 64)
    assert (request.kernel, request.placement) == ("Be kind.\n", Placement.SYSTEM)
    assert (request.seed, request.adapter, request.label) == (claim.seed, None, "P0 v0 #0")


def test_the_kernel_is_not_in_what_is_scored(ground: Ground, library: Library) -> None:
    ground.plan()
    assert library.wording(ground.claim(ground.ids()[0]).variant_id).prompt == "What is 0?"


def test_texts_are_read_once(ground: Ground, library: Library) -> None:
    ground.plan()
    first, second = (ground.claim(sample) for sample in ground.ids("sample_index < 2 AND position = 0")[0:4:3])
    assert first.variant_id == second.variant_id
    assert library.request(first).messages is library.request(second).messages


def test_rules_are_read_again_when_they_may_have_changed(
    ground: Ground, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate may be changed while a run goes on."""
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    ground.plan()
    before = library.rules(1).phase.gates
    ground.plan(phases__0__gates=[{"min_chars": 7}])
    assert library.rules(1).phase.gates == before
    now += module.FRESH_SECONDS
    assert library.rules(1).phase.gates == ground.config(phases__0__gates=[{"min_chars": 7}]).phases[0].gates


def test_rules_that_did_not_change_are_not_taken_apart_again(
    ground: Ground, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To read a configuration costs more than a claim, and 64 workers would do it for every second sample."""
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    ground.plan()
    before = library.rules(1)
    monkeypatch.setattr(module, "config_from_data", None)
    now += module.FRESH_SECONDS
    assert library.rules(1) is before


def test_a_wording_knows_the_right_answer_of_its_probe(ground: Ground, library: Library) -> None:
    give_answers(ground, {"P0": "42", "P1": 7})
    ground.plan()
    variants = ground.rows("""SELECT DISTINCT probe.name, variant_id FROM sample JOIN probe ON probe.id = probe_id
                              ORDER BY probe.name""")
    found = {row["name"]: library.wording(row["variant_id"]).expected for row in variants}
    assert found == {"P0": "42", "P1": "7", "P2": None}


def test_a_right_answer_that_is_mended_is_known_with_the_new_rules(
    ground: Ground, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a wording that was read before its probe had an answer
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    ground.plan()
    variant = ground.claim(ground.ids("probe.name = 'P0'")[0]).variant_id
    assert (library.rules(1).run, library.wording(variant).expected) == ("tiny", None)
    # When the file is mended and the run planned again
    give_answers(ground, {"P0": "42"})
    ground.plan()
    now += module.FRESH_SECONDS
    library.rules(1)
    # Then it is known
    assert library.wording(variant).expected == "42"


def test_rules_know_the_scorer_of_the_evaluation(ground: Ground, library: Library) -> None:
    ground.plan(RUN_FILE + "evaluate: {probes: other.jsonl, held_out: 0.5, scorer: v2}\n")
    assert (library.rules(1).run, library.rules(1).scorer) == ("tiny", "v2")
    claim = ground.claim(ground.ids(purpose=Purpose.EVALUATE)[0])
    assert library.request(claim).kernel is None


def test_a_phase_that_left_the_configuration_has_no_rules(ground: Ground, library: Library) -> None:
    ground.plan()
    ground.plan(RUN_FILE.replace("name: first", "name: other"))
    with pytest.raises(NotFound, match="phase first"):
        library.rules(1)


def test_an_adapter_is_taken_from_this_home(ground: Ground, library: Library) -> None:
    ground.plan()
    sample = ground.ids()[0]
    ground.execute("""INSERT INTO adapter (id, run_id, phase_id, home_id, manifest, created)
                      VALUES ('b2:abc', 1, 1, 'h', '{}', 0)""")
    ground.execute("UPDATE sample SET adapter_id = 'b2:abc' WHERE id = :id", id=sample)
    claim = ground.claim(sample)
    with pytest.raises(EngineFailure, match="b2:abc does not lie in"):
        library.request(claim)
    (ground.home.adapters / "abc").mkdir(parents=True)
    assert library.request(claim).adapter == ground.home.adapters / "abc"
