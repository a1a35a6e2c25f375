"""Templates of titles. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Final

from services.catalog.domain import MAX_TITLE_CHARS, clean_text

FIELDS: Final = ("series", "season", "episode", "title", "category", "highlight", "players", "pot")
"""What a template may name: of the series, of the video, and of its highlight with the biggest pot."""

_FORMAT: Final = re.compile(r"0?[1-9]?")
_NUMBERS: Final = frozenset({"season", "episode"})
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_DANGLING: Final = re.compile(r"(^[\s:·,\-]+|[\s:·,\-]+$|\(\s*\))")
"""Punctuation beside a part that turned out empty."""

Values = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Template:
    """A template: text with fields in braces, as `{series} S{season:02}E{episode:02}`.

    A part in square brackets is left out when one of its fields is empty: `{series}[ - {title}]`.
    """

    name: str
    text: str

    def render(self, values: Values) -> str:
        """Return the title.

        Args:
            values: of every field; None and the empty text are empty.

        Raises:
            LookupError: a field outside of brackets is empty; the error's text is its name.
        """
        title = "".join(
            _render_optional(part, values) if is_optional else _render(part, values)
            for part, is_optional in _parts(self.text)
        )
        return clean_text(_DANGLING.sub("", title), MAX_TITLE_CHARS)


def parse_templates(texts: Mapping[str, str]) -> dict[str, Template]:
    """Return templates by name, checked.

    Raises:
        ValueError: a name or a template is malformed, or names an unknown field.
    """
    templates = {}
    for name, text in texts.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a template: use lower case letters, digits, - and _")
        if not _fields(name, text):
            raise ValueError(f"{name}: names no field of {', '.join(FIELDS)}")
        templates[name] = Template(name, text)
    return templates


def _fields(name: str, text: str) -> set[str]:
    found: set[str] = set()
    try:
        pieces = [piece for part, _ in _parts(text) for piece in Formatter().parse(part)]
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    for _, field, spec, conversion in pieces:
        if field is None:
            continue
        if field not in FIELDS or conversion:
            raise ValueError(f"{name}: {{{field}}} is no field of {', '.join(FIELDS)}")
        if not _FORMAT.fullmatch(spec or "") or (spec and field not in _NUMBERS):
            raise ValueError(
                f"{name}: {{{field}:{spec}}} can't be formatted so; season and episode take a width, as :02"
            )
        found.add(field)
    return found


def _parts(text: str) -> list[tuple[str, bool]]:
    """Return the pieces of a template, and whether each stands in brackets."""
    return [(piece.strip("[]") if piece.startswith("[") else piece, piece.startswith("[")) for piece in _split(text)]


def _split(text: str) -> list[str]:
    return [piece for piece in re.split(r"(\[[^\[\]]*\])", text) if piece]


def _render_optional(part: str, values: Values) -> str:
    try:
        return _render(part, values)
    except LookupError:
        return ""


def _render(part: str, values: Values) -> str:
    made = []
    for literal, field, spec, _ in Formatter().parse(part):
        made.append(literal)
        if field is not None:
            value = values[field]
            if value in (None, ""):
                raise LookupError(field)
            made.append(format(value, spec or ""))
    return "".join(made)
