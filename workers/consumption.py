"""The Celery side of a worker: which queues it consumes, and how signals reach it."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from workers.shutdown import Shutdown

if TYPE_CHECKING:
    from celery import Celery


@dataclass
class Consumption:
    """One Celery worker with a pool of threads; `run` blocks until it is told to end."""

    app: "Celery"
    hostname: str
    queues: Sequence[str]
    threads: int
    shutdown: Shutdown
    grace_seconds: float
    _consumer: Any = None

    def run(self) -> None:
        """Consume until a signal, then wait for the tasks in hand."""
        from celery.signals import worker_ready

        def ready(sender: Any = None, **_: Any) -> None:
            """Celery has put its own handlers in place by now: ours run first and then call them, once."""
            self._consumer = sender
            hear_signals(self.shutdown, self.grace_seconds, then=_once(signal.getsignal(signal.SIGTERM)))
            if self.shutdown.asked:
                self.end()

        worker_ready.connect(ready, weak=False)
        worker = self.app.Worker(
            hostname=self.hostname,
            pool="threads",
            concurrency=self.threads,
            queues=list(self.queues),
            without_mingle=True,
            without_gossip=True,
            loglevel="WARNING",
            quiet=True,
        )
        worker.start()

    @property
    def has_begun(self) -> bool:
        """Whether there are queues to leave yet."""
        return self._consumer is not None

    def leave_queues(self) -> None:
        """Leave the queues to others, as while this worker trains or rests. Done by Celery's own thread, soon."""
        for queue in self.queues:
            self._consumer.call_soon(self._consumer.cancel_task_queue, queue)

    def return_to_queues(self) -> None:
        """Undo `leave_queues`."""
        for queue in self.queues:
            self._consumer.call_soon(self._consumer.add_task_queue, queue)

    def end(self) -> None:
        """Let Celery end as after a SIGTERM, without this counting as a person's wish for more hurry."""
        self.shutdown.own_signal = True
        os.kill(os.getpid(), signal.SIGTERM)


def hear_signals(shutdown: Shutdown, grace_seconds: float, then: Callable[[int, FrameType | None], Any]) -> None:
    """SIGTERM and SIGINT: the first one from outside begins the grace, the second one ends it."""

    def hear(number: int, frame: FrameType | None) -> None:
        shutdown.hear(grace_seconds)
        then(number, frame)

    signal.signal(signal.SIGTERM, hear)
    signal.signal(signal.SIGINT, hear)


def _once(handler: Any) -> Callable[[int, FrameType | None], Any]:
    """Celery's first signal means a warm end; a second one would make it cold and wait no longer for its threads."""
    called = threading.Event()

    def call(number: int, frame: FrameType | None) -> None:
        if not called.is_set() and callable(handler):
            called.set()
            handler(number, frame)

    return call
