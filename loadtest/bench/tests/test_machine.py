from __future__ import annotations

from loadtest.bench.machine import Cores, share_out


def shared(allowed: set[int], *together: set[int]) -> Cores:
    siblings = {core: frozenset(group) for group in together for core in group}
    return share_out(frozenset(allowed), siblings)


def cores(server: int, client: int, *others: int) -> Cores:
    return Cores(frozenset({server}), frozenset({client}), frozenset(others))


def test_one_core_is_for_all() -> None:
    assert shared({3}) == cores(3, 3, 3)


def test_of_two_cores_the_server_has_one_to_itself() -> None:
    assert shared({0, 1}) == cores(0, 1, 1)


def test_more_cores_take_what_disturbs_off_the_client() -> None:
    assert shared({0, 1, 2, 3}) == cores(0, 1, 2, 3)


def test_the_server_shares_no_physical_core_when_there_are_others() -> None:
    assert shared({0, 1, 2, 3}, {0, 1}, {2, 3}) == cores(0, 2, 3)


def test_two_threads_of_one_core_are_better_than_one() -> None:
    assert shared({0, 1}, {0, 1}) == cores(0, 1, 1)
