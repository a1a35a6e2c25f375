"""Tables for spreadsheet programs."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.progress.http.spreadsheet import csv_lines

FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "\uff1d1",
    "\uff20x",
    '=HYPERLINK("http://x";"y")',
]


def read(text: str) -> list[list[str]]:
    """The cells as a program reads them."""
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("formula", FORMULAS)
def test_text_is_never_a_formula(formula: str) -> None:
    assert read(csv_lines([[formula, 1]])) == [[f"'{formula}", "1"]]


def test_numbers_stay_numbers() -> None:
    assert csv_lines([[-1, 2.5, None]]) == '-1,2.5,""\r\n'


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1))
def test_text_is_read_back_in_its_column(row: list[str]) -> None:
    (cells,) = read(csv_lines([row]))
    assert len(cells) == len(row)
    for cell, text in zip(cells, row, strict=True):
        assert cell in (text, f"'{text}")
        assert not cell.lstrip().startswith(("=", "+", "-", "@"))
