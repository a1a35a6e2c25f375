"""The whole benchmark of the pipeline, as short as possible: it works, and its page has every figure."""

from __future__ import annotations

from pathlib import Path

from loadtest.pipeline.__main__ import Plan, measure, report_of

SHORT = Plan(uploads=2, upload_sec=2, upload_bitrate="1M", storyboard_sec=12, rounds=1, tiny_films=1)


def test_everything_is_measured(tmp_path: Path) -> None:
    figures = measure(SHORT, tmp_path)
    assert len(figures.thumbnails_sec) == 2
    costs = [*figures.storyboard, *figures.bare_storyboard, *figures.packs, *figures.bare_packs]
    costs += [figures.tiny, figures.bare_tiny]
    assert all(cost.wall_sec > 0 and cost.cpu_sec > 0 for cost in costs)
    page = report_of(SHORT, figures)
    assert page.count("\n| ") == 8, "a heading, and a row for each figure"
    assert str(tmp_path) not in page
