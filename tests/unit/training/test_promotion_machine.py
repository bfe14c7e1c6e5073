"""Trainers, gates and people do anything in any order; the pointer stays what a simple model says."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import text
from sqlmodel import Session, col, select

from lemfarm.config import config_data
from lemfarm.database import Database, open_database
from lemfarm.errors import InputError
from lemfarm.records import BLOCKED, Adapter, GateDecision, GateOutcome, Phase, PhaseState, Run, TrainingStage
from lemfarm.training import attempts, promotion
from lemfarm.training.adapters import AdapterManifest
from lemfarm.training.phases import StageClaim, claim_stage, finish_stage, open_stage
from tests.run_files import GOOD, load, write_files

PHASES = 3
NUMBERS = st.integers(0, PHASES - 1)
VERDICTS = st.sampled_from([GateOutcome.PASSED, GateOutcome.HELD, GateOutcome.FAILED])


@pytest.fixture(scope="module", autouse=True)
def template() -> Iterator[None]:
    """A planned run of three phases with gates, copied for every example."""
    in_memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="lemfarm-pointer-", dir=in_memory if in_memory.is_dir() else None))
    write_files(folder)
    start, end = GOOD.index("  - name"), GOOD.index("train: {rank")
    phases = "".join(GOOD[start:end].replace("first", f"phase{number}") for number in range(PHASES))
    config = load(folder, GOOD[:start] + phases + GOOD[end:])
    database = open_database(f"sqlite:///{folder / 'farm.db'}", migrate=True)
    with database.session() as session:
        run = Run(name="tiny", config=config_data(config), config_hash="", model_key="m", lemfarm_version="0")
        session.add(run)
        session.flush()
        assert run.id is not None
        for number, phase in enumerate(config.phases):
            stored = phase.model_dump(mode="json")
            session.add(Phase(run_id=run.id, name=phase.name, position=number, state="full", config=stored))
    database.close()
    PointerMachine.template = folder
    yield
    shutil.rmtree(folder)


class PointerMachine(RuleBasedStateMachine):
    """Rules are what may happen; the invariants hold after each. Phases are numbered as they stand."""

    template: Path

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="example-", dir=self.template))
        shutil.copy(self.template / "farm.db", self.folder / "farm.db")
        self.database: Database = open_database(f"sqlite:///{self.folder / 'farm.db'}", migrate=False)
        self.claims: list[tuple[StageClaim, str | None]] = []
        self.history: list[tuple[Any, ...]] = []
        self.made = 0

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
            shutil.rmtree(self.folder)

    # ---- what may happen

    @rule()
    def train_the_next(self) -> None:
        """As the hand-over does: the first phase that is not promoted, unless a person has to decide."""
        phase = next((phase for phase in self.phases() if phase.state != PhaseState.TRAINED), None)
        if phase is None or phase.state not in ("open", "full", "exhausted"):
            return
        assert phase.id is not None
        stage = open_stage(self.database, phase.run_id, phase.id)
        self.set_run("active")
        claim = claim_stage(self.database, stage, "w", 1000.0)
        if claim is not None:
            self.claims.append((claim, self.run().promoted))

    @rule(pick=st.integers(0, 3))
    def hand_in(self, pick: int) -> None:
        """A trainer ends, perhaps one that lost its lease long ago."""
        if not self.claims:
            return
        claim, parent = self.claims[-1 - pick % len(self.claims)]
        self.made += 1
        manifest = AdapterManifest(f"a{self.made}", {}, {}, job="j", dataset="d", parent=parent)
        finish_stage(self.database, claim, manifest, "home", {})

    @rule()
    def go_on(self) -> None:
        """A phase that goes well, so that courses come to their end."""
        self.train_the_next()
        self.hand_in(0)
        for number in range(PHASES):
            self.judge(number, GateOutcome.PASSED)

    @rule(number=NUMBERS, outcome=VERDICTS)
    def judge(self, number: int, outcome: GateOutcome) -> None:
        measuring = self.phases()[number].state == PhaseState.MEASURING
        assert promotion.decide(self.database, number + 1, outcome, {"gates": []}, said="x") == measuring
        assert not promotion.decide(self.database, number + 1, outcome, {"gates": []}, said="x")

    @rule(number=NUMBERS, note=st.sampled_from(["", "fine"]))
    def promote(self, number: int, note: str) -> None:
        self.says(lambda: promotion.promote(self.database, number + 1, by="ada", note=note))

    @rule(number=NUMBERS)
    def reject(self, number: int) -> None:
        self.says(lambda: promotion.reject(self.database, number + 1, by="ada"))

    @rule(to=st.sampled_from([None, "base", "phase0", "phase1"]))
    def roll_back(self, to: str | None) -> None:
        self.says(lambda: promotion.roll_back(self.database, 1, to, by="ada"))

    @rule(number=NUMBERS)
    def train_again(self, number: int) -> None:
        self.says(lambda: attempts.train_again(self.database, number + 1, {"learning_rate": 5e-6}))

    # ---- what always holds

    @invariant()
    def the_pointer_is_the_last_trained_phase(self) -> None:
        """Promoted phases come first, each adapter continues the one before it, and the pointer is the last."""
        if not hasattr(self, "database"):
            return
        states = [phase.state for phase in self.phases()]
        trained = states.count(PhaseState.TRAINED)
        assert states[:trained] == [PhaseState.TRAINED] * trained, states
        parent = None
        for number in range(trained):
            adapter = self.adapter_of(number)
            assert adapter.parent_id == parent
            parent = adapter.id
        assert self.run().promoted == parent

    @invariant()
    def nothing_is_built_on_what_waits_for_a_person(self) -> None:
        """Behind a phase that is measured, held or rejected none is anywhere but at its samples."""
        if not hasattr(self, "database"):
            return
        states = [phase.state for phase in self.phases()]
        waits = next((n for n, state in enumerate(states) if state in BLOCKED | {PhaseState.MEASURING}), PHASES)
        assert all(state in ("open", "full", "exhausted") for state in states[waits + 1 :]), states

    @invariant()
    def history_is_never_rewritten(self) -> None:
        """Decisions are added behind the others; finished attempts stay."""
        if not hasattr(self, "database"):
            return
        found = [tuple(row.model_dump().values()) for row in self.rows(GateDecision, GateDecision.id)]
        assert found[: len(self.history)] == self.history
        self.history = found
        for stage in self.rows(TrainingStage, TrainingStage.id):
            assert (stage.state == "done") == (stage.adapter_id is not None)

    @invariant()
    def a_phase_at_its_samples_can_be_trained(self) -> None:
        """Its last attempt is still to be made: what was made before has been judged, or lost what it stood on."""
        if not hasattr(self, "database"):
            return
        newest = {stage.phase_id: stage.state for stage in self.rows(TrainingStage, TrainingStage.attempt)}
        for phase in self.phases():
            assert (newest.get(phase.id) == "done") == (phase.state not in ("open", "full", "exhausted"))

    # ---- helpers

    def says(self, word: Any) -> None:
        """A person's word changes something, or is refused and changes nothing."""
        before = self.dump()
        try:
            word()
        except InputError:
            assert self.dump() == before

    def set_run(self, state: str) -> None:
        with self.database.write() as connection:
            connection.execute(text("UPDATE run SET state = :state"), {"state": state})

    def rows(self, table: Any, order: Any) -> list[Any]:
        with self.database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
            return list(session.exec(select(table).order_by(order)))

    def phases(self) -> list[Phase]:
        return self.rows(Phase, Phase.position)

    def run(self) -> Run:
        return next(iter(self.rows(Run, Run.id)))

    def adapter_of(self, number: int) -> Adapter:
        stages = [row for row in self.rows(TrainingStage, TrainingStage.attempt) if row.phase_id == number + 1]
        return next(row for row in self.rows(Adapter, col(Adapter.id)) if row.id == stages[-1].adapter_id)

    def dump(self) -> list[Any]:
        tables = ((Run, Run.id), (Phase, Phase.id), (TrainingStage, TrainingStage.id), (GateDecision, GateDecision.id))
        return [row.model_dump() for table, order in tables for row in self.rows(table, order)]


PointerMachine.TestCase.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestPointer = PointerMachine.TestCase
