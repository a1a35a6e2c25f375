"""Highlights as text: CSV (RFC 4180) for spreadsheet programs, and chapters (W3C WebVTT, section 4.4)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import zip_longest

from services.catalog.highlights.domain import HighlightValues, clean_players, label

COLUMNS = ("start", "end", "category", "title", "players", "pot_size")
BYTE_ORDER_MARK = "\ufeff"
"""Spreadsheet programs need it to read the text as UTF-8."""
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters that make programs compute a cell (OWASP, CSV Injection)."""
_BETWEEN_PLAYERS = ";"


class CsvError(ValueError):
    """A line of CSV that can't be read; its message names the line."""


def to_csv(rows: Iterable[HighlightValues]) -> str:
    """Return highlights as CSV with a line of headings. A quote before a formula is taken off again by `from_csv`."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in rows:
        players = _BETWEEN_PLAYERS.join(name.replace(_BETWEEN_PLAYERS, ",") for name in row.players)
        cells = [_escape(cell) for cell in (row.category, row.title, players)]
        writer.writerow([_number(row.start_sec), _number(row.end_sec), *cells, _number(row.pot_size or None)])
    return text.getvalue()


def from_csv(text: str) -> list[dict[str, object]]:
    """Return the lines of CSV as objects like those of the JSON API. The first line names the columns, in any order.

    Raises:
        CsvError: a column is missing or unknown, or a line is malformed.
    """
    reader = csv.reader(io.StringIO(text.removeprefix(BYTE_ORDER_MARK), newline=""), strict=True)
    try:
        heading = [name.strip().lower() for name in next(reader, [])]
        unknown = set(heading) - set(COLUMNS)
        if unknown or len(set(heading)) != len(heading) or not {"start", "end"} <= set(heading):
            raise CsvError(f"line 1: the columns are {', '.join(COLUMNS)}; start and end must be there")
        rows: list[dict[str, object]] = []
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) != len(heading):
                raise CsvError(f"line {reader.line_num}: has {len(cells)} cells, not {len(heading)}")
            rows.append(_object(dict(zip(heading, cells, strict=True))))
    except csv.Error as error:
        raise CsvError(f"line {reader.line_num}: {error}") from error
    return rows


def to_chapters(rows: Sequence[HighlightValues]) -> str:
    """Return highlights, in the order of their starts, as WebVTT chapters.

    Chapters may not overlap: one ends where the next begins, and of several that begin together the last stays.
    """
    cues: list[str] = []
    for row, follower in zip_longest(rows, rows[1:]):
        end = row.end_sec if follower is None else min(row.end_sec, follower.start_sec)
        if _timestamp(end) > _timestamp(row.start_sec):
            cues.append(f"{_timestamp(row.start_sec)} --> {_timestamp(end)}\n{_cue_text(label(row))}\n")
    return "\n".join(["WEBVTT\n", *cues])


def _object(cells: dict[str, str]) -> dict[str, object]:
    made: dict[str, object] = {}
    for name, cell in cells.items():
        text = cell.strip()
        if name in ("category", "title"):
            made[name] = _unescape(text)
        elif name == "players":
            made[name] = clean_players(_unescape(text).split(_BETWEEN_PLAYERS))
        elif text or name != "pot_size":
            made[name] = text
    return made


def _escape(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _unescape(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA_STARTS) else text


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if value.is_integer() else repr(value)


def _timestamp(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"


def _cue_text(text: str) -> str:
    # A cue without text is no chapter in any player.
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped or "…"
