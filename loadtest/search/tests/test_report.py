"""The page says which figures miss what is wanted."""

from __future__ import annotations

import pytest

from loadtest.search.__main__ import LARGE, main
from loadtest.search.report import page_of
from loadtest.search.results import POSTGRESQL, SQLITE, Quality, Results, RouteTiming, Speed, Timing

ROUTES = ("list", "filter", "home", "search", "suggest", "history", "recommendations", "highlights", "detail")


def route(p50_ms: float, p99_ms: float, cpu_ms: float = 1.0) -> RouteTiming:
    timing = Timing(
        requests=10,
        per_sec=5,
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        server_ms=cpu_ms,
        database_ms=0,
        client_share=0.1,
    )
    return RouteTiming(alone=timing, busy=timing)


def speed(database: str, p50_ms: float, *, films: int = 20_000, p99_ms: float = 19.0) -> Speed:
    routes = {name: route(p50_ms, p99_ms) for name in ROUTES}
    routes["detail"] = route(p50_ms, 500.0, cpu_ms=2.5)
    return Speed(
        database=database,
        films=films,
        at="2026-12-01 00:00",
        load=1.0,
        commit="abc",
        add_ms=[5.0, 6.0],
        routes=routes,
        bare={"detail": route(1.0, 2.0)},
    )


def quality(name: str, recall: float) -> Quality:
    return Quality(
        name=name,
        films=100,
        recall={"exact": recall},
        strokes=9,
        strokes_missed=0,
        strokes_empty=0,
        precision=1.0,
        index_ratio=1.5,
    )


def test_marks_what_misses_its_target() -> None:
    page = page_of(
        Results(
            quality=[quality("Marquee, SQLite", 0.98), quality("FTS5", 0.1)],
            speed=[speed(SQLITE, 9.0), speed(POSTGRESQL, 4.0), speed(SQLITE, 9.0, films=100_000, p99_ms=51.0)],
        )
    )
    assert "| recall, exact | 0.980 **no** | 0.100 | 0.99 |" in page
    assert "| list | 9.0 · 19.0 | 9.0 · 19.0 |" in page
    assert "| list | 9.0 · 51.0 | 9.0 · 51.0 **no** |" in page
    assert "detail takes 2.50 times **no**" in page
    assert "at most 2.25 times **no** (list)" in page


def test_leaves_targets_that_hold_unmarked() -> None:
    page = page_of(Results(speed=[speed(SQLITE, 4.0), speed(POSTGRESQL, 4.0)]))
    assert page.count("**no**") == 3, "the legend, and a detail on each database"


def test_a_share_of_a_plan_has_less_of_everything() -> None:
    scaled = LARGE.scaled(0.1)
    assert (scaled.films, scaled.viewing.users, scaled.viewing.views) == (10_000, 1_000, 100_000)
    assert scaled.seconds < LARGE.seconds
    assert LARGE.scaled(1) == LARGE


@pytest.mark.parametrize("scale", ["0", "2", "some"])
def test_refuses_a_scale_that_is_no_share(scale: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--scale", scale])
    assert "--scale" in capsys.readouterr().err
