"""Work on a stream of items by several processes: results in order, few items in flight, nothing left behind."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

from lemfarm.errors import Unavailable

FEW = 8
"""Items that one process does in about the time that it takes to start others."""

_WAITING_EACH = 2  #: items in flight for each process: one that is worked on, one that waits

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_work: Callable[[Any], Any]  #: of a child: what it was started for


def map_in_order(work: Callable[[_Item], _Result], items: Iterable[_Item], processes: int = 1) -> Iterator[_Result]:
    """`work` of each item, in their order; a few items are done right here.

    `work`, items and results must be picklable. What `work` raises is raised here. Raises Unavailable when a process
    dies, which a system does to one that takes too much memory.
    """
    stream = iter(items)
    first = list(islice(stream, FEW)) if processes > 1 else []
    everything = chain(first, stream)
    if len(first) < FEW:
        yield from map(work, everything)
        return
    # Spawned, not forked: this process may have threads, such as a progress bar's.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin, (work,))
    try:
        yield from _through(pool, everything, processes * _WAITING_EACH)
    except BrokenProcessPool as error:
        raise Unavailable("a process that scores was ended from outside; fewer --jobs need less memory.") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _through(pool: ProcessPoolExecutor, items: Iterable[_Item], most: int) -> Iterator[Any]:
    waiting: deque[Future[Any]] = deque()
    for item in items:
        waiting.append(_submit(pool, item))
        if len(waiting) >= most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _submit(pool: ProcessPoolExecutor, item: Any) -> "Future[Any]":
    """Ctrl-C reaches every process of the terminal: those that start here leave it to this one, from their first
    moment on, since a signal that is blocked stays blocked in a child."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(_do, item)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(work: Callable[[Any], Any]) -> None:
    """What a child does first; it ends when its parent is gone, however that went."""
    global _work
    _work = work
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(item: Any) -> Any:
    return _work(item)
