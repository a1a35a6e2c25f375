"""Templates of titles."""

from __future__ import annotations

import pytest

from services.catalog.titles.domain import FIELDS, parse_templates

EMPTY: dict[str, str | int | None] = dict.fromkeys(FIELDS)


def render(text: str, **values: str | int) -> str:
    return parse_templates({"t": text})["t"].render({**EMPTY, **values})


def test_fills_in_fields_and_leaves_out_parts_in_brackets() -> None:
    text = "[{series} ]S{season:02}[E{episode:03}][ - {title}]"
    assert render(text, series="Tour", season=0, episode=7, title="{x}") == "Tour S00E007 - {x}"
    assert render(text, season=12) == "S12"


def test_drops_punctuation_beside_what_is_empty() -> None:
    assert render("[{series}]: {title} ()", title="Final") == "Final"


def test_names_the_field_that_is_empty() -> None:
    with pytest.raises(LookupError, match="season"):
        render("{season} {title}", title="x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no field",
        "{title",
        "{title.__class__}",
        "{title[0]}",
        "{}",
        "{0}",
        "{title!r}",
        "{title:02}",
        "{season:999}",
    ],
)
def test_refuses_what_is_no_template(text: str) -> None:
    with pytest.raises(ValueError, match="t: "):
        parse_templates({"t": text})


def test_refuses_a_name_that_is_none() -> None:
    with pytest.raises(ValueError, match="no name"):
        parse_templates({"Not A Name": "{title}"})
