"""Where things stand, and what they are for. Each word is explained where it stands."""

from enum import StrEnum


class SampleState(StrEnum):
    """Where a sample stands. Only `ledger` writes it."""

    PENDING = "pending"  #: planned; nobody works on it, a message for it may or may not be in the queue
    LEASED = "leased"  #: a worker holds it until `lease_expires`
    DONE = "done"  #: a complete result is stored; never generated again, never deleted
    FAILED = "failed"  #: its retries are spent, retrying cannot help, or it kills workers
    SKIPPED = "skipped"  #: not needed: quota full, probe at its cap, or run cancelled


class Outcome(StrEnum):
    """What the gates said of a done sample."""

    ACCEPTED = "accepted"  #: passed every gate
    REJECTED = "rejected"  #: kept, with the reason
    HELD = "held"  #: waits for a person


class Purpose(StrEnum):
    """What a sample is for."""

    DISTIL = "distil"  #: counts for quotas, export and training
    EVALUATE = "evaluate"  #: measures a model; never trained on


class RunState(StrEnum):
    """Where a run stands."""

    ACTIVE = "active"  #: samples may be claimed
    PAUSED = "paused"  #: leased samples finish, none is claimed
    CANCELLED = "cancelled"  #: leased samples stop, pending ones are skipped
    DONE = "done"  #: every quota filled, training and evaluation finished
    STARVED = "starved"  #: a phase ran out of samples before its quota
    HELD = "held"  #: a person decides: a phase ran out with enough, or its adapter lies between pass and fail
    STOPPED = "stopped"  #: too much recent work failed, or a phase's adapter did not pass


class PhaseState(StrEnum):
    """Where a phase stands."""

    OPEN = "open"  #: samples are wanted
    FULL = "full"  #: the quota is reached
    EXHAUSTED = "exhausted"  #: nothing left to generate, the quota is not reached
    MEASURING = "measuring"  #: its adapter is sealed and measured; its gates decide
    HELD = "held"  #: its adapter lies between pass and fail: a person decides
    REJECTED = "rejected"  #: its adapter failed its gates, or a person rejected it or took it back
    TRAINED = "trained"  #: its adapter is promoted


UNTRAINED = frozenset({PhaseState.OPEN, PhaseState.FULL, PhaseState.EXHAUSTED})
"""Phases without an adapter: what they stand at follows from their samples."""


BLOCKED = frozenset({PhaseState.HELD, PhaseState.REJECTED})
"""Phases whose adapter is not promoted, until a person says otherwise: none behind them is trained."""


class StageState(StrEnum):
    """Where the training of a phase stands."""

    WAITING = "waiting"  #: planned; any worker with the model may take it
    LEASED = "leased"  #: a worker trains
    DONE = "done"  #: adapter sealed
    FAILED = "failed"  #: the trainer ended with an error that trying again will not mend


class WorkerState(StrEnum):
    """What a worker last said of itself."""

    STARTING = "starting"  #: loading its model
    READY = "ready"  #: generating, or waiting for work
    TRAINING = "training"  #: its engine is unloaded, a training child runs
    RESTING = "resting"  #: outside its hours, or on battery: claims nothing and goes on by itself
    DRAINING = "draining"  #: finishes what it holds, then ends
    REFUSED = "refused"  #: cannot serve: the message says why
    STOPPED = "stopped"  #: ended by itself, leases released
    DIED = "died"  #: ended without a word; its leases were taken back


class NoticeKind(StrEnum):
    """What a person is told of. `test` is never stored."""

    FULL = "full"  #: a phase has its quota
    TRAINED = "trained"  #: a phase's adapter is promoted
    HELD = "held"  #: the run, or a phase's adapter, waits for a person
    STARVED = "starved"  #: a phase ran out of samples before its quota
    FAILED = "failed"  #: the run stopped: too much failed, a training did, or an adapter did not pass its gates
    DONE = "done"  #: everything is finished
    TEST = "test"  #: a person tries the command


class GateOutcome(StrEnum):
    """What became of an adapter that was measured."""

    PASSED = "passed"  #: promoted
    HELD = "held"  #: between pass and fail: a person decides
    FAILED = "failed"  #: not promoted; the next phase is not started
    ROLLED_BACK = "rolled back"  #: promoted once, and taken back by a person


#: Why an answer is held that the gates accepted: the reason begins so.
WAITS_FOR_REVIEW = "waits for review"


class ReviewDecision(StrEnum):
    """What a reviewer said of an answer."""

    ACCEPT = "accept"  #: may train
    REJECT = "reject"  #: never trains
    EDIT = "edit"  #: may train as the reviewer rewrote it
    SKIP = "skip"  #: left to another reviewer
