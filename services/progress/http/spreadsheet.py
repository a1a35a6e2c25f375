"""Tables as text for spreadsheet programs (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

BEGINNING = "\ufeff"
"""A byte order mark: without it, spreadsheet programs take letters beyond ASCII for something else."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes programs compute a cell, also in the full-width forms (OWASP, CSV Injection)."""


def lines(rows: Iterable[Iterable[str | float | None]]) -> str:
    """Rows as comma-separated lines. Text comes from anybody, so none of it is left as a formula; numbers are ours."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: str | float | None) -> str | float:
    if value is None:
        return ""
    if isinstance(value, str) and (value.startswith(_FORMULA_STARTS) or value.lstrip().startswith(_FORMULA_STARTS)):
        return f"'{value}"
    return value
