"""How strongly a viewer's watermark is shown: a score of how likely it is that a copy is being made.

The table is in docs/reference/lsv-licences.md. No I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NEW_DEVICE: Final = 25
FREE_DEVICES: Final = 3
PER_DEVICE: Final = 5
MAX_FOR_DEVICES: Final = 20
OFFLINE: Final = 20
ACCOUNT_OF_A_DAY: Final = 20
ACCOUNT_OF_A_WEEK: Final = 10
PER_FAILURE: Final = 5
MAX_FOR_FAILURES: Final = 15
MAX_SCORE: Final = 100

_SHORT_ID: Final = 8
_OPACITY: Final = (0.12, 0.35)
_SIZE: Final = (0.025, 0.045)
_INTERVAL_SEC: Final = (90, 20)
_VISIBLE_SEC: Final = (4, 12)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskSignals:
    """What the score is made of."""

    is_new_device: bool
    """Whether the user has never played a protected film on it before."""
    devices: int
    """Devices of the user in the last 30 days, with this one."""
    is_offline: bool
    account_age_days: float | None
    """None when it is not known."""
    failures: int
    """Refused requests for keys of the user in the last hour."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """What a player draws over the picture."""

    text: str
    """Names the viewer; the player adds the time."""
    opacity: float
    """0 to 1."""
    size: float
    """Height of the letters, as a share of the picture's height."""
    interval_sec: int
    """From the beginning of one appearance to that of the next."""
    visible_sec: int
    """How long one appearance lasts."""


def risk_score(signals: RiskSignals) -> int:
    """Return the score, 0 to 100."""
    score = NEW_DEVICE if signals.is_new_device else 0
    score += min(max(signals.devices - FREE_DEVICES, 0) * PER_DEVICE, MAX_FOR_DEVICES)
    score += OFFLINE if signals.is_offline else 0
    if signals.account_age_days is not None and signals.account_age_days < 7:  # noqa: PLR2004 - a week
        score += ACCOUNT_OF_A_DAY if signals.account_age_days < 1 else ACCOUNT_OF_A_WEEK
    score += min(signals.failures * PER_FAILURE, MAX_FOR_FAILURES)
    return min(score, MAX_SCORE)


def watermark(text: str, score: int) -> Watermark:
    """Return the watermark for a score: from faint and rare at 0 to clear and often at 100."""
    share = score / MAX_SCORE
    return Watermark(
        text=text,
        opacity=round(_between(_OPACITY, share), 3),
        size=round(_between(_SIZE, share), 4),
        interval_sec=round(_between(_INTERVAL_SEC, share)),
        visible_sec=round(_between(_VISIBLE_SEC, share)),
    )


def watermark_text(display_name: str | None, user_id: str) -> str:
    """Return the text that names a viewer: the name, where it is known, and the end of the id, which no other has."""
    return f"{display_name} · {user_id[-_SHORT_ID:]}" if display_name else user_id


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * share
