"""Draw the chart of a run: bars by size and server, as SVG that is readable on light and on dark pages."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from loadtest.bench.plan import JUDGED_CONNECTIONS, SIZE_TITLES, Size
from loadtest.bench.results import SUBJECT, Results
from loadtest.bench.stats import Spread

_LABEL = "GB/s of each server, by size of the ranges"
_WIDTH = 760
_LEFT = 262
_RIGHT = 90
_BAR = 16
_STEP = 22
_HEADING = 34
_TOP = 44
_STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px }
.size { font-weight: 600 }
.other { fill: #8c959f }
.subject { fill: #0969da }
.spread { stroke: #24292f; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .other { fill: #6e7681 }
  .subject { fill: #4493f8 }
  .spread { stroke: #e6edf3 }
}"""


def plot(results: Results, titles: Mapping[str, str]) -> str:
    """Return the chart as SVG.

    Args:
        results: of a run.
        titles: of the servers, by name.
    """
    bars = _bars(results)
    scale = (_WIDTH - _LEFT - _RIGHT) / max(
        (spread.high for row in bars.values() for spread in row.values()), default=1
    )
    parts = [f'<text class="title" x="0" y="16">GB/s with {JUDGED_CONNECTIONS} connections, one worker each</text>']
    y = _TOP
    for size, row in bars.items():
        parts.append(f'<text class="size" x="0" y="{y}">{escape(SIZE_TITLES[size])}</text>')
        y += _HEADING - _STEP
        for name, spread in row.items():
            parts += _bar(y, name, titles[name], spread, scale)
            y += _STEP
        y += _HEADING
    height = y - _HEADING + 6
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{_LABEL}">'
    )
    return "\n".join([opening, f"<style>{_STYLE}</style>", *parts, "</svg>\n"])


def _bars(results: Results) -> dict[Size, dict[str, Spread]]:
    found: dict[Size, dict[str, Spread]] = {}
    for cell in results.cells:
        spread = cell.spread(lambda one: one.gb_per_sec)
        if cell.connections == JUDGED_CONNECTIONS and spread:
            found.setdefault(cell.size, {})[cell.peer] = spread
    return found


def _bar(y: int, name: str, title: str, spread: Spread, scale: float) -> list[str]:
    kind = "subject" if name == SUBJECT else "other"
    middle, base = y + _BAR // 2, y + _BAR - 4
    low, high, end = (_LEFT + value * scale for value in (spread.low, spread.high, spread.median))
    return [
        f'<text x="{_LEFT - 8}" y="{base}" text-anchor="end">{escape(title)}</text>',
        f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{end - _LEFT:.1f}" height="{_BAR}" rx="2"/>',
        f'<line class="spread" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>',
        f'<text x="{max(high, end) + 6:.1f}" y="{base}">{spread.median:.2f}</text>',
    ]
