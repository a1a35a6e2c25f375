from __future__ import annotations

import pytest

from loadtest.bench.stats import Spread
from loadtest.bench.tables import Table, figure, with_spread

TABLE = Table("Figures", ("server", "GB/s"), [("nginx", "2.40"), ("x", "10.0")], note="Nothing else.")


def test_terminal_table_is_aligned() -> None:
    assert TABLE.plain() == "Figures\n\nserver  GB/s\n------  ----\nnginx   2.40\nx       10.0\nNothing else.\n"


def test_a_page_gets_markdown() -> None:
    assert TABLE.markdown() == "| server | GB/s |\n| --- | ---: |\n| nginx | 2.40 |\n| x | 10.0 |\n\nNothing else.\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "-"), (0, "0.00"), (0.044, "0.04"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (41692.3, "41,692")],
)
def test_figures_have_three_significant_digits(value: float | None, expected: str) -> None:
    assert figure(value) == expected


def test_one_round_has_no_spread() -> None:
    assert with_spread(Spread(median=2, low=2, high=2), " ms") == "2.00 ms"
    assert with_spread(Spread(median=2, low=1, high=3), " ms") == "2.00 ms (1.00-3.00)"
    assert with_spread(None) == "-"
