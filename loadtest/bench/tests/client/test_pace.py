from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadtest.bench.client.pace import Pace


def test_paced_viewer_reads_at_its_pace() -> None:
    pace = Pace(1000, started=50)
    assert pace.allowance(50, 0) == 0
    assert pace.allowance(52.5, 0) == 2500
    assert pace.allowance(52.5, 2400) == 100


def test_viewer_ahead_of_its_pace_reads_nothing() -> None:
    assert Pace(1000, started=0).allowance(1, 1500) == 0


def test_a_second_of_film_is_tolerated() -> None:
    pace = Pace(1000, started=50)
    assert not pace.is_behind(51, 0)
    assert not pace.is_behind(53, 2000)
    assert pace.is_behind(53, 1999)


@given(rate=st.floats(1, 1e7), visits=st.lists(st.floats(0, 0.9), min_size=1, max_size=50), start=st.floats(0, 1e6))
def test_viewer_that_gets_everything_is_never_behind(rate: float, visits: list[float], start: float) -> None:
    pace, now, received = Pace(rate, start), start, 0
    for pause in visits:
        now += pause
        received += pace.allowance(now, received)
        assert not pace.is_behind(now, received)
        assert received <= (now - start) * rate + 1
