"""Names are asked for in batches, kept for a while, and not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from kit.errors import ApiError, ErrorCode
from services.stream.clients.display_names import BATCH, NameCache


class Fetch:
    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.is_away = False

    async def __call__(self, ids: Sequence[str]) -> Mapping[str, str]:
        self.asked.append(list(ids))
        if self.is_away:
            raise ApiError(ErrorCode.SERVICE_UNAVAILABLE)
        return {each: each.upper() for each in ids if each != "gone"}


async def test_each_is_asked_for_once() -> None:
    fetch = Fetch()
    names = NameCache(fetch)
    assert await names.of(["a", "b", "a", "gone"]) == {"a": "A", "b": "B"}
    assert await names.of(["b", "gone", "c"]) == {"b": "B", "c": "C"}
    assert fetch.asked == [["a", "b", "gone"], ["c"]]
    assert await names.of([]) == {}


async def test_many_are_asked_for_in_batches() -> None:
    fetch = Fetch()
    assert len(await NameCache(fetch).of(str(number) for number in range(2 * BATCH + 1))) == 2 * BATCH + 1
    assert [len(each) for each in fetch.asked] == [BATCH, BATCH, 1]


async def test_they_are_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.stream.clients.display_names.KEPT_SEC", 0)
    monkeypatch.setattr("services.stream.clients.display_names.CAPACITY", 1)
    fetch = Fetch()
    names = NameCache(fetch)
    for _ in range(2):
        assert await names.of(["a", "b"]) == {"a": "A", "b": "B"}
    assert len(fetch.asked) == 2
    assert len(names._kept) == 1


async def test_without_the_other_service_there_are_none_but_those_that_are_known() -> None:
    fetch = Fetch()
    names = NameCache(fetch)
    await names.of(["a"])
    fetch.is_away = True
    assert await names.of(["a", "b"]) == {"a": "A"}
    fetch.is_away = False
    assert await names.of(["a", "b"]) == {"a": "A", "b": "B"}, "that it was away is not kept"
