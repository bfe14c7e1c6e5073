"""The claims that this process holds, and which of them it lost."""

import threading
from dataclasses import dataclass, field


@dataclass
class Leases:
    """Shared by the task threads, which hold and drop, and the keeper, which finds out what was lost."""

    _held: dict[str, int] = field(default_factory=dict)
    _lost: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hold(self, sample_id: str, epoch: int) -> None:
        """Note a fresh claim."""
        with self._lock:
            self._lost.discard(sample_id)
            self._held[sample_id] = epoch

    def drop(self, sample_id: str) -> None:
        """The claim has ended, one way or another."""
        with self._lock:
            self._held.pop(sample_id, None)
            self._lost.discard(sample_id)

    def holds(self, sample_id: str) -> bool:
        """A thread of this process has the sample in hand."""
        with self._lock:
            return sample_id in self._held

    def is_lost(self, sample_id: str) -> bool:
        """Someone else may have the sample, or its run was cancelled: stop generating it."""
        with self._lock:
            return sample_id in self._lost

    def snapshot(self) -> dict[str, int]:
        """What is held, before the renewal is sent: a claim made meanwhile is not lost because it is missing there."""
        with self._lock:
            return dict(self._held)

    def renewed(self, asked: dict[str, int], alive: dict[str, int]) -> list[str]:
        """Compare what was held with what the database still grants; returns what is lost."""
        with self._lock:
            lost = [key for key, epoch in asked.items() if alive.get(key) != epoch and self._held.get(key) == epoch]
            self._lost.update(lost)
            return lost

    def __len__(self) -> int:
        return len(self._held)
