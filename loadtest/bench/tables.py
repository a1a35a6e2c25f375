"""Plain tables, for terminals and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.bench.stats import Spread

NOTHING = "-"
TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first column is text, the others are figures unless `text_columns` is larger."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: int = 1
    note: str = ""

    def plain(self) -> str:
        """Return the table for a terminal, aligned with spaces."""
        widths = [max(len(line[at]) for line in (self.columns, *self.rows)) for at in range(len(self.columns))]
        lines = ["  ".join(self._aligned(line, widths)).rstrip() for line in (self.columns, *self.rows)]
        rule = "  ".join("-" * width for width in widths)
        return "\n".join([self.title, "", lines[0], rule, *lines[1:], *([self.note] if self.note else [])]) + "\n"

    def markdown(self) -> str:
        """Return the table in Markdown."""
        marks = ["---"] * self.text_columns + ["---:"] * (len(self.columns) - self.text_columns)
        lines = [f"| {' | '.join(line)} |" for line in (self.columns, marks, *self.rows)]
        return "\n".join([*lines, *(["", self.note] if self.note else [])]) + "\n"

    def _aligned(self, line: Sequence[str], widths: Sequence[int]) -> list[str]:
        return [
            text.ljust(width) if at < self.text_columns else text.rjust(width)
            for at, (text, width) in enumerate(zip(line, widths, strict=True))
        ]


def figure(value: float | None, unit: str = "") -> str:
    """Format a figure with three significant digits and thousands separators; a dash for None."""
    if value is None:
        return NOTHING
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2  # noqa: PLR2004 - digits
    return f"{value:,.{digits}f}{unit}"


def with_spread(spread: Spread | None, unit: str = "") -> str:
    """Format the median and, after more than one round, the extremes."""
    if spread is None:
        return NOTHING
    if spread.low == spread.high:
        return figure(spread.median, unit)
    return f"{figure(spread.median, unit)} ({figure(spread.low)}-{figure(spread.high)})"


def median(spread: Spread | None, unit: str = "") -> str:
    """Format the median alone."""
    return figure(spread.median if spread else None, unit)
