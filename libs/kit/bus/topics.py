"""How routing patterns match event types: the rules of an AMQP topic exchange, for adapters that have no broker."""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from operator import or_

from kit.bus import Subscription


@lru_cache(maxsize=4096)
def matches(pattern: str, topic: str) -> bool:
    """Whether the pattern covers the topic: `*` is exactly one word, `#` any number of words, also none."""
    words = _words(topic)
    # covered[n]: what was read of the pattern so far covers the first n words. Linear for any number of `#`.
    covered = [True] + [False] * len(words)
    for part in _words(pattern):
        if part == "#":
            covered = list(accumulate(covered, or_))
        else:
            covered = [False, *(so_far and part in ("*", word) for so_far, word in zip(covered, words, strict=False))]
    return covered[-1]


def wants(subscription: Subscription, event_type: str) -> bool:
    """Whether any of the subscription's patterns covers this type."""
    return any(matches(pattern, event_type) for pattern in subscription.types)


def _words(text: str) -> list[str]:
    return text.split(".") if text else []
