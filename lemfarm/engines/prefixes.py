"""Prefilled prompts, kept for the samples that share them, within a bound of bytes."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class PrefixCounts:
    """How the cache has served so far; `bytes` is what lies in it now."""

    hits: int
    misses: int
    evicted: int
    entries: int
    bytes: int


class PrefixCache(Generic[Value]):
    """The least recently used entry leaves first when the bytes run out.

    The newest entry always stays, even when it alone is over the bound: it is about to be used, and throwing it away
    would make the engine prefill the same prompt for ever.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._bytes = 0
        self._hits = self._misses = self._evicted = 0

    def __contains__(self, key: Hashable) -> bool:
        """Whether the key is there; neither counted nor remembered as a use."""
        return key in self._entries

    def get(self, key: Hashable) -> Value | None:
        """Return the value and count the hit, or count a miss and return None."""
        if key not in self._entries:
            self._misses += 1
            return None
        self._hits += 1
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def put(self, key: Hashable, value: Value, size: int) -> None:
        """Keep a value of `size` bytes, dropping the least recently used ones as needed."""
        self.drop(key)
        self._entries[key] = (value, size)
        self._bytes += size
        while self._bytes > self._max_bytes and len(self._entries) > 1:
            self._evicted += 1
            self.drop(next(iter(self._entries)))

    def drop(self, key: Hashable) -> None:
        """Forget one entry; an unknown key is no error."""
        _, size = self._entries.pop(key, (None, 0))
        self._bytes -= size

    def resize(self, max_bytes: int) -> None:
        """Set another bound; it takes hold with the next `put`."""
        self._max_bytes = max_bytes

    def clear(self) -> None:
        """Forget every entry; the counts go on."""
        self._entries.clear()
        self._bytes = 0

    @property
    def counts(self) -> PrefixCounts:
        """The figures for status and benchmarks."""
        return PrefixCounts(self._hits, self._misses, self._evicted, len(self._entries), self._bytes)
