"""Several workers, a reaper and a person do anything in any order; the ledger stays what a simple model says."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lemfarm.database import Database
from lemfarm.ledger import Ledger
from lemfarm.records import Outcome, Purpose
from lemfarm.work import Claim, Sighting
from tests.ledger_world import LONG, OVER, World, make_world, result_of, sqlite_url

SAMPLES = 2
RETRIES = 1
OUTCOMES = st.sampled_from([str(outcome) for outcome in Outcome])
NUMBERS = st.integers(0, SAMPLES - 1)
WORKERS = st.sampled_from(["w0", "w1"])
PICK = st.integers(0, 2)
"""Which of the latest claims or sightings; older ones have mostly met their end."""


Thing = TypeVar("Thing")


@pytest.fixture(scope="module", autouse=True)
def template() -> Iterator[None]:
    """A migrated database, copied for every example: migrating takes longer than all the rest."""
    in_memory = Path("/dev/shm")  # where there is one: thousands of durable transactions need no disk here
    folder = Path(tempfile.mkdtemp(prefix="lemfarm-machine-", dir=in_memory if in_memory.is_dir() else None))
    LedgerMachine.template = folder
    LedgerMachine.made = make_world(sqlite_url(folder))
    LedgerMachine.made.database.close()
    yield
    shutil.rmtree(folder)


@dataclass
class Model:
    """What a sample should look like."""

    state: str = "pending"
    reason: str = ""
    superseded: bool = False
    epoch: int = 0
    owner: str | None = None
    over: bool = False  #: its lease has run out
    alone: bool = False  #: of the claim in hand
    waits: bool = False  #: a retry waits for its time
    failures: int = 0
    deaths: int = 0
    killer: bool = False
    content: str | None = None
    outcome: str | None = None
    endings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Held:
    """A claim in the hands of a worker, which may have lost it without knowing."""

    claim: Claim
    number: int
    worker: str


class LedgerMachine(RuleBasedStateMachine):
    """Rules are what may happen; `check` compares every row with the model after each."""

    template: Path
    made: World

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=self.template))
        shutil.copy(self.template / "farm.db", self.folder)
        self.world = replace(self.made, database=(opened := Database(sqlite_url(self.folder))), ledger=Ledger(opened))
        self.ledger = self.world.ledger
        self.ids = self.world.plan(SAMPLES)
        self.model = [Model() for _ in self.ids]
        self.lives: dict[str, str] = {}
        self.run_state = "active"
        self.results = 0
        self.held: list[Held] = []
        self.seen: list[list[Sighting]] = []

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.database.close()
            shutil.rmtree(self.folder)

    # ---- workers

    @precondition(lambda self: any(map(self._is_free, self.model)))
    @rule(name=WORKERS, over=st.booleans())
    def claim_what_is_free(self, name: str, over: bool) -> None:
        self.claim(next(n for n, model in enumerate(self.model) if self._is_free(model)), name, over)

    @rule(number=NUMBERS, name=WORKERS, over=st.booleans())
    def claim(self, number: int, name: str, over: bool) -> None:
        worker = self._worker(name)
        model = self.model[number]
        free = self._is_free(model)
        claim = self.ledger.claim(self.ids[number], worker, OVER if over else LONG)
        assert (claim is not None) == free
        if claim is None:
            return
        model.state, model.owner, model.over, model.alone = "leased", worker, over, False
        model.epoch += 1
        model.endings.append("")
        assert (claim.epoch, claim.must_run_alone) == (model.epoch, model.deaths >= 2)
        self.held.append(Held(claim, number, worker))

    @rule(name=WORKERS, over=st.booleans())
    def renew(self, name: str, over: bool) -> None:
        """A worker renews all samples, as if it had all in hand: it is granted its own only."""
        worker = self._worker(name)
        mine = [n for n, model in enumerate(self.model) if model.state == "leased" and model.owner == worker]
        alive = self.ledger.renew(worker, self.ids, OVER if over else LONG)
        for number in mine:
            self.model[number].over = over
        expected = {} if self.run_state == "cancelled" else {self.ids[n]: self.model[n].epoch for n in mine}
        assert alive == expected

    @precondition(lambda self: self.held)
    @rule(pick=PICK, outcome=OUTCOMES)
    def finish(self, pick: int, outcome: str) -> None:
        """Also late, also twice, also by a worker that was taken for dead."""
        held = self._pick(self.held, pick)
        model = self.model[held.number]
        self.results += 1
        content = f"answer {self.results}"
        stored = self.ledger.record(result_of(held.claim, held.worker, outcome, content))
        assert stored == (model.content is None)
        at = held.claim.epoch - 1
        if not stored:
            model.endings[at] = "done" if model.endings[at] == "done" else "dropped"
            return
        model.endings = [ending or "dropped" for ending in model.endings]
        model.endings[at] = "done"
        model.state, model.outcome, model.content, model.killer = "done", outcome, content, False
        model.owner = held.worker

    @precondition(lambda self: self.held)
    @rule(pick=PICK, retryable=st.booleans())
    def fail(self, pick: int, retryable: bool) -> None:
        held = self._pick(self.held, pick)
        model = self.model[held.number]
        mine = self._is_current(held)
        said = self.ledger.fail(
            held.claim.sample_id, held.claim.epoch, "engine", "broke", retryable=retryable, retries=RETRIES
        )
        if not mine:
            assert said is None
            return
        self._back(model, "failed")
        if not retryable or model.failures >= RETRIES:
            model.state = "failed"
        model.failures += 1
        model.waits = True
        assert said == model.state

    @precondition(lambda self: self.held)
    @rule(pick=PICK)
    def release(self, pick: int) -> None:
        held = self._pick(self.held, pick)
        mine = self._is_current(held)
        assert self.ledger.release(held.claim.sample_id, held.claim.epoch) == mine
        if mine:
            self._back(self.model[held.number], "released")

    @precondition(lambda self: self.held)
    @rule(pick=PICK)
    def begin_alone(self, pick: int) -> None:
        held = self._pick(self.held, pick)
        self.ledger.begin_alone(held.claim.sample_id, held.claim.epoch)
        if self._is_current(held):
            self.model[held.number].alone = True

    # ---- those who clear up

    @rule()
    def see_expired(self) -> None:
        seen = self.ledger.expired()
        over = {self.ids[n] for n, model in enumerate(self.model) if model.state == "leased" and model.over}
        assert {sighting.sample_id for sighting in seen} == over
        self.seen.append(seen)

    @precondition(lambda self: self.seen)
    @rule(pick=PICK)
    def reap(self, pick: int) -> None:
        """Of what was seen, now or long ago, only leases that stand as they stood are taken."""
        seen = self._pick(self.seen, pick)
        current = {sighting for sighting in self.ledger.expired() if sighting in seen}
        assert self.ledger.reap(seen) == len(current)
        for sighting in current:
            self._back(self.model[self.ids.index(sighting.sample_id)], "reaped")

    @precondition(lambda self: any(model.state == "leased" and model.over for model in self.model))
    @rule()
    def reap_at_once(self) -> None:
        """See and take: what two looks of a reaper do."""
        self.see_expired()
        self.reap(0)

    @precondition(lambda self: self.lives)
    @rule(name=WORKERS, rebooted=st.booleans())
    def die(self, name: str, rebooted: bool) -> None:
        worker = self.lives.pop(name, None)
        if worker is None:
            return
        taken = [model for model in self.model if model.state == "leased" and model.owner == worker]
        assert self.ledger.bury(worker, rebooted=rebooted) == len(taken)
        assert self.ledger.bury(worker, rebooted=rebooted) == 0
        for model in taken:
            condemned = model.alone and not rebooted
            self._back(model, "died")
            model.deaths += 0 if rebooted else 1
            if condemned:
                model.state, model.killer = "failed", True

    @rule()
    def wait(self) -> None:
        """Until no retry waits any more."""
        for identity, model in zip(self.ids, self.model, strict=True):
            self.world.now(identity)
            model.waits = False

    # ---- what a person, or the planner, wants

    @rule(wish=st.sampled_from(["plan all", "plan one", "skip", "want again", "cancel", "resume", "pause", "requeue"]))
    def wish(self, wish: str) -> None:
        """One rule for them all, so that work is what happens most."""
        wishes = {
            "plan all": lambda: self._plan(SAMPLES),
            "plan one": lambda: self._plan(1),
            "skip": self._skip,
            "want again": lambda: self._unskip("quota full"),
            "cancel": self._cancel,
            "resume": self._resume,
            "pause": lambda: self._set_run("paused"),
            "requeue": self._requeue_failed,
        }
        if self.run_state != "active" and wish in ("cancel", "pause"):
            wish = "resume"
        wishes[wish]()

    def _plan(self, count: int) -> None:
        self.ledger.plan(self.world.run, Purpose.DISTIL, self.world.rows(count))
        for number, model in enumerate(self.model):
            model.superseded = number >= count

    def _skip(self) -> None:
        self.ledger.skip(self.world.phase, "quota full")
        for model in self.model:
            if model.state == "pending" and not model.superseded:
                model.state, model.reason = "skipped", "quota full"

    def _unskip(self, reason: str) -> None:
        self.ledger.unskip(self.world.run, reason)
        for model in self.model:
            if model.state == "skipped" and model.reason == reason:
                model.state = "pending"

    def _cancel(self) -> None:
        self._set_run("cancelled")
        self.ledger.cancel(self.world.run)
        for model in self.model:
            if model.state == "pending":
                model.state, model.reason = "skipped", "cancelled"

    def _resume(self) -> None:
        self._set_run("active")
        self._unskip("cancelled")

    def _set_run(self, state: str) -> None:
        self.run_state = state
        self.world.set_run(state)

    def _requeue_failed(self) -> None:
        self.ledger.requeue_failed(self.world.run)
        for model in self.model:
            if model.state == "failed":
                model.state, model.failures, model.deaths = "pending", 0, 0
                model.waits = model.killer = False

    # ---- what always holds

    @invariant()
    def rows_are_as_the_model_says(self) -> None:
        for identity, model in zip(self.ids, self.model, strict=True):
            row = self.world.sample(identity)
            assert (row["state"], bool(row["superseded"]), row["epoch"]) == (model.state, model.superseded, model.epoch)
            assert (row["failures"], row["deaths"], row["outcome"]) == (model.failures, model.deaths, model.outcome)
            assert row["owner"] == (model.owner if model.state in ("leased", "done") else None)
            assert (row["error_class"] == "killer") == model.killer
            assert self.world.endings(identity) == model.endings

    @invariant()
    def the_balance_adds_up(self) -> None:
        balance = self.ledger.balance(self.world.run, Purpose.DISTIL)
        assert balance.adds_up
        assert balance.planned + balance.superseded == SAMPLES
        counted = [model for model in self.model if not model.superseded]
        assert balance.done == sum(model.content is not None for model in counted)

    @invariant()
    def every_done_sample_has_the_text_that_came_first(self) -> None:
        texts = self.world.query("SELECT sample_id, content FROM text ORDER BY id")
        expected = {self.ids[n]: model.content for n, model in enumerate(self.model) if model.content}
        assert {row["sample_id"]: row["content"] for row in texts} == expected
        assert len(texts) == len(expected)

    @invariant()
    def a_claim_is_open_exactly_while_its_sample_is_leased(self) -> None:
        rows = self.world.query(
            """SELECT a.sample_id, a.epoch = s.epoch AS newest, s.state FROM attempt a
               JOIN sample s ON s.id = a.sample_id WHERE a.ending = ''"""
        )
        assert all(row["newest"] and row["state"] == "leased" for row in rows)
        assert len(rows) == sum(model.state == "leased" for model in self.model)

    # ---- helpers

    def _pick(self, things: list[Thing], pick: int) -> Thing:
        return things[-1 - pick % len(things)]

    def _worker(self, name: str) -> str:
        """The living process of that name: a new one after each death."""
        if name not in self.lives:
            self.lives[name] = self.world.worker(f"{name}-{sum(m.epoch for m in self.model)}-{self._processes()}")
        return self.lives[name]

    def _processes(self) -> int:
        return int(self.world.query("SELECT count(*) AS n FROM worker")[0]["n"])

    def _is_free(self, model: Model) -> bool:
        return model.state == "pending" and not model.superseded and not model.waits and self.run_state == "active"

    def _is_current(self, held: Held) -> bool:
        model = self.model[held.number]
        return model.state == "leased" and model.epoch == held.claim.epoch

    def _back(self, model: Model, ending: str) -> None:
        cancelled = self.run_state == "cancelled"
        model.state, model.reason = ("skipped", "cancelled") if cancelled else ("pending", "")
        model.endings[-1] = ending


LedgerMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
TestLedgerMachine = LedgerMachine.TestCase
