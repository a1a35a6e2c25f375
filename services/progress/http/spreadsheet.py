"""Tables as text for spreadsheet programs (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

BYTE_ORDER_MARK = "\ufeff"
"""Spreadsheet programs need it to read the text as UTF-8."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters that make programs compute a cell, full-width forms included (OWASP, CSV Injection)."""


def csv_lines(rows: Iterable[Iterable[str | float | None]]) -> str:
    """Return rows as comma-separated lines. Text is untrusted, so formulas are escaped; numbers are trusted."""
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
