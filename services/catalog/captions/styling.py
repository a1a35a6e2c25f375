"""The styling of a cue: SubStation tags to WebVTT tags (WebVTT, 4.2 and 8.2). Linear in the length of a cue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Final

from pysubs2 import SSAStyle

_OVERRIDES = re.compile(r"\{([^{}]*)\}")
_TAG = re.compile(
    r"\\(?:(?P<flag>[biu])(?P<on>\d{1,4})?(?![a-zA-Z])|1?c(?:&H(?P<colour>[0-9A-Fa-f]{1,8})&?)?(?![a-zA-Z])"
    r"|r(?P<reset>[^\\]*)|p(?P<drawing>\d{1,2})(?![a-zA-Z]))"
)
_ALIGNMENT = re.compile(r"\\an([1-9])")
_COLOURS: Final = {
    (0, 255, 0): "lime",
    (0, 255, 255): "cyan",
    (255, 0, 0): "red",
    (255, 255, 0): "yellow",
    (255, 0, 255): "magenta",
    (0, 0, 255): "blue",
    (0, 0, 0): "black",
}
"""Classes that every browser knows (WebVTT, 5.2); white is what a cue has anyway."""
_ROWS: Final = {0: "", 1: " line:50%", 2: " line:0"}
_COLUMNS: Final = {0: " position:10% align:left", 1: "", 2: " position:90% align:right"}


@dataclass(frozen=True, slots=True)
class _Look:
    """How a piece of text looks."""

    b: bool = False
    i: bool = False
    u: bool = False
    colour: str = ""
    is_drawing: bool = False


def cue_text(text: str, style: SSAStyle | None, styles: Mapping[str, SSAStyle]) -> str:
    """Return the text of a SubStation event as that of a cue; empty when nothing of it can be shown."""
    base = look = _of_style(style)
    pieces = []
    for index, piece in enumerate(_OVERRIDES.split(text)):
        if index % 2:
            look = _changed(look, base, piece, styles)
        elif not look.is_drawing:
            pieces.append(_tagged(piece, look))
    lines = "".join(pieces).split("\n")
    # An empty line would end the cue.
    return "\n".join(line for line in lines if re.sub(r"<[^>]*>", "", line).strip())


def cue_settings(text: str, style: SSAStyle | None) -> str:
    """Return where on the picture a cue is, as its settings; empty for the bottom, in the middle."""
    named = _ALIGNMENT.search(text)
    alignment = int(named[1]) if named else int(style.alignment) if style else 2
    row, column = divmod(alignment - 1, 3) if 1 <= alignment <= 9 else (0, 1)  # noqa: PLR2004 - a key of the number pad
    return _ROWS[row] + _COLUMNS[column]


def _of_style(style: SSAStyle | None) -> _Look:
    if style is None:
        return _Look()
    colour = style.primarycolor
    name = _COLOURS.get((colour.r, colour.g, colour.b), "")
    return _Look(bool(style.bold), bool(style.italic), bool(style.underline), name)


def _changed(look: _Look, base: _Look, overrides: str, styles: Mapping[str, SSAStyle]) -> _Look:
    for tag in _TAG.finditer(overrides):
        if flag := tag["flag"]:
            is_on = getattr(base, flag) if tag["on"] is None else tag["on"] != "0"
            changes: dict[str, Any] = {flag: is_on}
            look = replace(look, **changes)
        elif tag["drawing"] is not None:
            look = replace(look, is_drawing=tag["drawing"] != "0")
        elif tag["reset"] is not None:
            named = styles.get(tag["reset"].strip())
            look = _of_style(named) if named else base
        elif tag["colour"] is None:
            look = replace(look, colour=base.colour)
        else:
            value = int(tag["colour"], 16)
            rgb = (value & 255, value >> 8 & 255, value >> 16 & 255)
            look = replace(look, colour=_COLOURS.get(rgb, ""))
    return look


def _tagged(piece: str, look: _Look) -> str:
    text = piece.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", "\u00a0")
    text = escape(text, quote=False)
    if not text.strip():
        return text
    tags = [name for name in "biu" if getattr(look, name)]
    if look.colour:
        tags.insert(0, f"c.{look.colour}")
    # Each line is closed by itself: a line that is left out must not take a tag with it.
    opened = "".join(f"<{tag}>" for tag in tags)
    closed = "".join(f"</{tag.partition('.')[0]}>" for tag in reversed(tags))
    return "\n".join(f"{opened}{line}{closed}" if line.strip() else line for line in text.split("\n"))
