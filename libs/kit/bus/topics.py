"""How routing patterns match event types: the rules of an AMQP topic exchange, for adapters that have no broker."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate
from operator import or_


@lru_cache(maxsize=4096)
def matches(pattern: str, topic: str) -> bool:
    """Return whether the pattern covers the topic: `*` is exactly one word, `#` any number of words, also none."""
    words = _words(topic)
    # covered[n]: the part of the pattern read so far covers the first n words. Linear for any number of `#`.
    covered = [True] + [False] * len(words)
    for part in _words(pattern):
        if part == "#":
            covered = list(accumulate(covered, or_))
        else:
            covered = [False, *(so_far and part in ("*", word) for so_far, word in zip(covered, words, strict=False))]
    return covered[-1]


def any_matches(patterns: Iterable[str], topic: str) -> bool:
    """Return whether any of the patterns covers the topic."""
    return any(matches(pattern, topic) for pattern in patterns)


def _words(text: str) -> list[str]:
    return text.split(".") if text else []
