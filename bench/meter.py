"""A worker process with a meter: CPU time of its parts, written to a file when it is asked to end.

    python bench/meter.py RESULT.json

It is the worker of `python -m workers` with a clock around some of its functions, which costs microseconds a sample.
"""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from celery.signals import worker_ready, worker_shutting_down
from common import SCORING, STAND_IN

import workers.sample
from lemfarm.engines.simulated import SimulatedEngine
from lemfarm.ledger import Ledger
from lemfarm.scorers import get_scorer
from producer.watch import Watcher
from workers.keeper import Keeper
from workers.library import Library
from workers.process import main
from workers.sample import SampleRunner
from workers.spool import Spool

THREADS = {"MainThread": "Celery, main thread (consume, acknowledge, events)"}
IN_TASKS = "Celery, task threads (trace, events)"


class Meter:
    """Thread CPU seconds by part. Every part counts only what no part within it counts."""

    def __init__(self) -> None:
        self.parts: Counter[str] = Counter()
        self._own = threading.local()
        self._began = self.start = 0.0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Forget what was spent until now: called in the main thread when the worker is ready."""
        self.charge()
        self.parts.clear()
        self._began = self.start = time.process_time()

    def end(self) -> dict[str, float]:
        """Seconds by part since `begin`; called in the main thread."""
        self.charge()
        total = time.process_time() - self._began
        return dict(self.parts) | {"rest of the worker": total - self.parts.total(), "start": self.start}

    def charge(self) -> None:
        """Book what this thread spent since the last call on the part it is in."""
        now = time.thread_time()
        stack = self._stack()
        with self._lock:
            self.parts[stack[-1]] += now - self._own.mark
        self._own.mark = now

    def _stack(self) -> list[str]:
        if not hasattr(self._own, "stack"):
            name = threading.current_thread().name
            base = IN_TASKS if name.startswith("ThreadPoolExecutor") else THREADS.get(name, f"{name} thread")
            self._own.stack, self._own.mark = [base], 0.0
        return self._own.stack  # type: ignore[no-any-return]

    def around(self, owner: Any, name: str, part: str) -> None:
        """Count a method or function as a part."""
        inner: Callable[..., Any] = getattr(owner, name)

        @wraps(inner)
        def counted(*args: Any, **options: Any) -> Any:
            stack = self._stack()
            self.charge()
            stack.append(part)
            try:
                return inner(*args, **options)
            finally:
                self.charge()
                stack.pop()

        setattr(owner, name, counted)


def metered(meter: Meter) -> None:
    """Put the meter around the parts of a worker."""
    meter.around(Ledger, "claim", "SQL, claim")
    meter.around(Ledger, "record", "SQL, record")
    meter.around(Library, "rules", "SQL, rules and texts")
    meter.around(Library, "request", "SQL, rules and texts")
    meter.around(type(get_scorer("v2-distill")), "score", SCORING)
    meter.around(workers.sample, "make_result", "verdict and record")
    meter.around(Spool, "write", "spool")
    meter.around(SampleRunner, "run", "task, rest")
    meter.around(SimulatedEngine, "add", STAND_IN)
    meter.around(SimulatedEngine, "step", STAND_IN)
    meter.around(Watcher, "look_in_turn", "watcher thread")
    meter.around(Keeper, "_do", "keeper thread")


if __name__ == "__main__":
    result = Path(sys.argv[1])
    meter = Meter()
    metered(meter)
    worker_ready.connect(lambda **_: meter.begin(), weak=False)
    worker_shutting_down.connect(lambda **_: result.write_text(json.dumps(meter.end())), weak=False)
    sys.exit(main())
