"""The cache keeps what was used last, like a plain model of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kit.cache import ByteCache, ExpiringCache, LruCache

KEYS = st.integers(0, 5)
STEPS = st.lists(st.tuples(st.sampled_from(["get", "peek", "put", "pop"]), KEYS), max_size=60)


@given(capacity=st.integers(1, 4), steps=STEPS)
def test_keeps_what_was_used_last(capacity: int, steps: list[tuple[str, int]]) -> None:
    cache = LruCache[int, str](capacity)
    model: list[tuple[int, str]] = []
    for number, (step, key) in enumerate(steps):
        there = dict(model).get(key)
        if step == "put":
            cache.put(key, str(number))
            model = [(each, value) for each, value in model if each != key][-capacity + 1 or len(model) :]
            model.append((key, str(number)))
        elif step == "get":
            assert cache.get(key) == there
            if there is not None:
                model = [each for each in model if each[0] != key] + [(key, there)]
        elif step == "peek":
            assert cache.peek(key) == there
        else:
            assert cache.pop(key) == there
            model = [each for each in model if each[0] != key]
        assert list(cache) == [each for each, _ in model]
        assert len(cache) == len(model) <= capacity


def test_drops_what_matches() -> None:
    cache = LruCache[str, int](10)
    for number, key in enumerate("abcd"):
        cache.put(key, number)
    cache.drop_if(lambda key, value: key == "a" or value == 3)
    assert list(cache) == ["b", "c"]
    assert "a" not in cache
    cache.clear()
    assert not len(cache)


def test_values_expire_counted_from_when_they_began_to_be_read() -> None:
    now = 100.0
    cache = ExpiringCache[str, int](10, 4, lambda: now)
    mark = cache.begin()
    now += 3
    cache.put("a", 1, mark)
    assert (cache.get("a"), cache.get("b")) == (1, None)
    now += 1
    assert cache.get("a") is None


def test_what_was_being_read_when_all_was_dropped_is_not_kept() -> None:
    cache = ExpiringCache[str, int](10, 4, lambda: 0)
    before = cache.begin()
    cache.put("a", 1, before)
    cache.clear()
    assert cache.get("a") is None
    cache.put("a", 1, before)
    assert cache.get("a") is None
    cache.put("a", 2, cache.begin())
    assert cache.get("a") == 2


@given(puts=st.lists(st.tuples(KEYS, st.integers(0, 4000)), max_size=40))
def test_byte_cache_keeps_the_newest_up_to_its_size(puts: list[tuple[int, int]]) -> None:
    cache, newest = ByteCache[int, int](20_000), dict[int, int]()
    for number, (key, size) in enumerate(puts):
        cache.put(key, number, bytes(size))
        newest[key] = number
        assert cache.size_bytes <= 20_000
        if size <= 1000:
            assert cache.get(key) == (number, bytes(size))
        elif size > 2000:
            assert cache.get(key) is None, "one entry takes a tenth at most"
    for key, number in newest.items():
        assert (kept := cache.get(key)) is None or kept[0] == number
