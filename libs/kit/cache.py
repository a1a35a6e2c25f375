"""Keep a bounded number of values in memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_ENTRY_BYTES = 500
"""What an entry of `ByteCache` takes beside its bytes, about."""


class LruCache(Generic[K, V]):
    """Keep the values used last, and drop the one not used for longest when there is no room.

    Args:
        capacity: values kept at most.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._values: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: K) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[K]:
        """Iterate over the keys, the one not used for longest first."""
        return iter(self._values)

    def get(self, key: K) -> V | None:
        """Return the value of a key and count that as a use; None if there is none."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def peek(self, key: K) -> V | None:
        """Return the value of a key without counting that as a use; None if there is none."""
        return self._values.get(key)

    def put(self, key: K, value: V) -> V:
        """Keep a value, and return it. It is now the one used last."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._capacity:
            self._values.popitem(last=False)
        return value

    def pop(self, key: K) -> V | None:
        """Drop the value of a key and return it; None if there is none."""
        return self._values.pop(key, None)

    def drop_if(self, matches: Callable[[K, V], bool]) -> None:
        """Drop every value for which a function of key and value says so."""
        for key in [key for key, value in self._values.items() if matches(key, value)]:
            del self._values[key]

    def clear(self) -> None:
        """Drop all values."""
        self._values.clear()


class ByteCache(Generic[K, V]):
    """Keep the bytes used last, with a label each, up to a size of all together.

    Args:
        max_bytes: of all; one entry may take a tenth of that, and costs a little more than its bytes.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[K, tuple[V, bytes]] = OrderedDict()

    @property
    def size_bytes(self) -> int:
        """Return the size of all that is kept."""
        return self._bytes

    def get(self, key: K) -> tuple[V, bytes] | None:
        """Return label and bytes of a key and count that as a use; None if there are none."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: K, label: V, content: bytes) -> None:
        """Keep the bytes of a key in place of those before, and drop others when there is no room."""
        self._drop(key)
        if self._size(content) > self._max_bytes // 10:
            return
        self._entries[key] = (label, content)
        self._bytes += self._size(content)
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: K) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= self._size(entry[1])

    @staticmethod
    def _size(content: bytes) -> int:
        return len(content) + _ENTRY_BYTES


@dataclass(frozen=True, slots=True)
class ReadMark:
    """When what is to be kept began to be read."""

    at: float
    generation: int


class ExpiringCache(Generic[K, V]):
    """Keep values for some seconds, counted from the moment at which they began to be read.

    Args:
        capacity: values kept at most; the one not used for longest goes first.
        seconds: how long each is kept.
        clock: seconds that only go forward.
    """

    def __init__(self, capacity: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._values: LruCache[K, tuple[float, V]] = LruCache(capacity)
        self._seconds = seconds
        self._clock = clock
        self._generation = 0

    def begin(self) -> ReadMark:
        """Return the mark for `put`. Call this before the value is read."""
        return ReadMark(self._clock(), self._generation)

    def get(self, key: K) -> V | None:
        """Return the value of a key; None if there is none, or it has expired."""
        kept = self._values.get(key)
        return kept[1] if kept and self._clock() < kept[0] else None

    def put(self, key: K, value: V, mark: ReadMark) -> None:
        """Keep a value, unless all were dropped since it began to be read: then it may be older than the reason."""
        if mark.generation == self._generation:
            self._values.put(key, (mark.at + self._seconds, value))

    def clear(self) -> None:
        """Drop all values, and those that are being read."""
        self._generation += 1
        self._values.clear()
