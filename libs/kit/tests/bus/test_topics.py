"""Routing patterns against an implementation that is slow and obviously right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.bus.topics import any_matches, matches

words = st.sampled_from(["a", "b", "video", "", "ready"])
topics = st.lists(words, max_size=5).map(".".join)
patterns = st.lists(st.one_of(words, st.sampled_from(["*", "#"])), max_size=6).map(".".join)


def reference(pattern: list[str], topic: list[str]) -> bool:
    if not pattern:
        return not topic
    head, *rest = pattern
    if head == "#":
        return any(reference(rest, topic[skip:]) for skip in range(len(topic) + 1))
    return bool(topic) and head in ("*", topic[0]) and reference(rest, topic[1:])


@given(patterns, topics)
def test_matches_like_the_reference(pattern: str, topic: str) -> None:
    def split(text: str) -> list[str]:
        return text.split(".") if text else []

    assert matches(pattern, topic) is reference(split(pattern), split(topic))


@given(topics)
def test_a_topic_matches_itself_and_everything_matches_hash(topic: str) -> None:
    assert matches(topic, topic)
    assert matches("#", topic)


def test_many_hashes_take_no_long_time() -> None:
    assert not matches(".".join(["#", "a"] * 50), ".".join(["a"] * 49))


@pytest.mark.parametrize(("topic", "matched"), [("video.ready", True), ("user.deleted", True), ("user.new", False)])
def test_one_matching_pattern_of_several_is_enough(topic: str, matched: bool) -> None:
    assert any_matches(("video.*", "user.deleted"), topic) is matched
