"""Make the page of the results, in Markdown."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Sequence

from loadtest.bench.stats import percentile
from loadtest.search.results import POSTGRESQL, SQLITE, Quality, Results, Speed
from loadtest.search.speed import CONNECTIONS

_SMALL = 20_000
_P99_MS = {False: 20.0, True: 50.0}
"""Wanted of a library of at most `_SMALL` films, and of a bigger one."""
_PROMISED = ("list", "filter", "home", "search", "suggest", "history", "recommendations", "highlights")
_RECALL = {
    "exact": 0.99,
    "middle of a compound": 0.99,
    "initials": 0.99,
    "one jamo wrong": 0.95,
    "one Latin typo": 0.95,
}
_PRECISION = 0.9
_MAX_INDEX = 2.0
_MAX_BARE = 2.0
_MAX_SQLITE = 2.0
_MAX_ADD_MS = 20.0


def page_of(results: Results) -> str:
    """Return the page."""
    parts = [_HEAD.format(cores=os.cpu_count())]
    if results.quality:
        parts.append(_quality(results.quality))
    ordered = sorted(results.speed, key=lambda each: each.database != SQLITE)
    by_size = {films: [each for each in ordered if each.films == films] for films in _sizes(ordered)}
    parts += [_speed(films, found) for films, found in by_size.items()]
    return "\n".join(parts)


def _sizes(found: Sequence[Speed]) -> list[int]:
    return sorted({each.films for each in found})


_HEAD = """# Lists, rows and search, measured

<!-- Made by `python -m loadtest.search`; change loadtest/search, not this page. -->

Made by `make bench-search` on a machine of {cores} processors. **no** marks a figure that misses what is wanted. The
server is embedded mode: all five services in one process, with authentication, limits and metrics, also on PostgreSQL.
"""


_QUALITY_NOTE = (
    "Recall is the share of queries with the wanted title among the first ten. A key stroke is missed when the title "
    "that is being typed is not among the first twenty although at most twenty begin so. Precision is the share of "
    "results of half an English word in which a word begins so. The size is that of the index of tokens, in sizes of "
    "an index of whole words of the same titles (FTS5 `unicode61`, GIN of `to_tsvector`)."
)
_SPEED_NOTE = (
    f"p50 · p99 in milliseconds, warm: alone is one request at a time, busy is {CONNECTIONS} connections that ask "
    "again at once, so that one process is at its limit. CPU is processor time a request while busy, of the server "
    "and, apart, of PostgreSQL: it depends less on what else the machine does. Where the load is above the number of "
    "processors, other work took its share of them: such times are no judgement on a machine that is free."
)


def _quality(rows: Sequence[Quality]) -> str:
    kinds = list(rows[0].recall)
    lines = [
        f"## What is found, of {rows[0].films:,} Korean and English titles",
        "",
        _QUALITY_NOTE,
        "",
        _row(["", *(each.name for each in rows), "wanted"]),
        _row(["---"] * (len(rows) + 2)),
    ]
    for kind in kinds:
        least = _RECALL.get(kind)
        cells = [_judged(f"{row.recall[kind]:.3f}", _is_ours(row), row.recall[kind] >= (least or 0)) for row in rows]
        lines.append(_row([f"recall, {kind}", *cells, f"{least}" if least else ""]))
    strokes = [
        _judged(f"{row.strokes_missed} · {row.strokes_empty}", _is_ours(row), row.strokes_missed == 0) for row in rows
    ]
    lines.append(_row([f"of {rows[0].strokes} key strokes missed · empty", *strokes, "0 missed"]))
    precision = [_judged(f"{row.precision:.3f}", _is_ours(row), row.precision >= _PRECISION) for row in rows]
    lines.append(_row(["precision of half a word", *precision, str(_PRECISION)]))
    sizes = [
        _judged(f"{row.index_ratio:.2f}", True, row.index_ratio <= _MAX_INDEX) if row.index_ratio else ""
        for row in rows
    ]
    lines.append(_row(["size of the index", *sizes, f"at most {_MAX_INDEX:.0f}"]))
    return "\n".join([*lines, ""])


def _speed(films: int, found: Sequence[Speed]) -> str:
    limit = _P99_MS[films > _SMALL]
    lines = [f"## How long it takes, with {films:,} films", ""]
    lines += [
        f"- {each.database}: {each.at} UTC, load {each.load:.1f} at the end, revision `{each.commit}`" for each in found
    ]
    lines += [
        "",
        _SPEED_NOTE,
        "",
        _row(["", *(cell for each in found for cell in _columns(each.database)), "wanted p99"]),
        _row(["---"] * (2 + 4 * len(found))),
    ]
    for name in found[0].routes:
        cells: list[str] = []
        for each in found:
            route = each.routes[name]
            busy = f"{route.busy.p50_ms:.1f} · {route.busy.p99_ms:.1f}"
            cells += [
                f"{route.alone.p50_ms:.1f} · {route.alone.p99_ms:.1f}",
                _judged(busy, name in _PROMISED, route.busy.p99_ms <= limit),
                f"{route.busy.server_ms:.2f}" + (f" + {route.busy.database_ms:.2f}" if each.database != SQLITE else ""),
                f"{route.busy.per_sec:.0f}",
            ]
        lines.append(_row([name, *cells, f"{limit:.0f}" if name in _PROMISED else ""]))
    lines += ["", *_comparisons(films, found), ""]
    return "\n".join(lines)


def _columns(database: str) -> Iterable[str]:
    return (f"{database} alone", "busy", "CPU ms", "a second")


def _comparisons(films: int, found: Sequence[Speed]) -> Iterable[str]:
    for each in found:
        ordered = sorted(each.add_ms)
        added = f"{statistics.median(ordered):.1f} · {percentile(ordered, 0.99):.1f} ms"
        meets = statistics.median(ordered) <= _MAX_ADD_MS
        yield f"- {each.database}: a film is added with its index in {_judged(added, True, meets)} (p50 · p99)."
        for name, bare in each.bare.items():
            ours = each.routes[name].busy
            ratio = (ours.server_ms + ours.database_ms) / (bare.busy.server_ms + bare.busy.database_ms)
            text = f"{ratio:.2f} times"
            yield (
                f"- {each.database}: a {name} takes {_judged(text, True, ratio <= _MAX_BARE)} the processor time of a "
                f"bare route of FastAPI and SQLAlchemy with the same fields "
                f"({bare.busy.server_ms + bare.busy.database_ms:.2f} ms)."
            )
    by_name = {each.database: each for each in found}
    if films <= _SMALL and {SQLITE, POSTGRESQL} <= by_name.keys():
        ratios = {
            name: by_name[SQLITE].routes[name].busy.p50_ms / by_name[POSTGRESQL].routes[name].busy.p50_ms
            for name in _PROMISED
        }
        worst = max(ratios, key=ratios.__getitem__)
        text = f"{ratios[worst]:.2f} times"
        yield (
            f"- SQLite beside PostgreSQL, p50 while busy: at most "
            f"{_judged(text, True, ratios[worst] <= _MAX_SQLITE)} ({worst})."
        )


def _is_ours(row: Quality) -> bool:
    return row.name.startswith("Marquee")


def _judged(text: str, is_promised: bool, holds: bool) -> str:  # noqa: FBT001 - two facts of one figure
    return f"{text} **no**" if is_promised and not holds else text


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
