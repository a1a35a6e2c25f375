"""Conditional requests (RFC 9110, sections 8.8 and 13). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from enum import Enum

_NANOSECONDS = 1_000_000_000
# An opaque tag may hold commas, so a list of tags can't be split at them.
_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_SEPARATOR = re.compile(r"[ \t]*(?:,[ \t]*)*")


@dataclass(frozen=True, slots=True)
class Validators:
    """What distinguishes one state of a file from another."""

    etag: str
    """Strong: two states with one tag have the same bytes."""
    modified: int | None
    """Seconds since 1970; never later than the moment of the response (8.8.2.1). None when it is unknown."""
    modified_is_strong: bool
    """False within the second of the change, when another one may follow unseen (8.8.2.2)."""

    @classmethod
    def of(cls, *, state: str, mtime_ns: int | None, version: int, now: float, layout: str = "") -> Validators:
        """Return the validators of a file, made only of what every replica and every mount of the store agree on.

        Args:
            state: names the state of its bytes.
            mtime_ns: when it was changed, in nanoseconds since 1970; None when its store does not say.
            version: of the asset; it grows when its bytes are replaced.
            now: seconds since 1970.
            layout: names what is made of the file, when it is not sent as it is.
        """
        seconds = None if mtime_ns is None else mtime_ns // _NANOSECONDS
        return cls(
            etag=f'"{state}-{version:x}{layout}"',
            modified=None if seconds is None else min(seconds, int(now)),
            modified_is_strong=seconds is not None and now >= seconds + 1,
        )

    @property
    def last_modified(self) -> str | None:
        """Return the value of the `Last-Modified` header, if there is to be one."""
        return None if self.modified is None else formatdate(self.modified, usegmt=True)


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditional headers of a request; None where one is absent."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_unmodified_since: str | None = None
    if_range: str | None = None


class PreconditionResult(Enum):
    """How a GET or HEAD proceeds after its preconditions."""

    PROCEED = "proceed"
    IGNORE_RANGE = "ignore range"
    """Proceed, but the range was of a file that has changed since: send it whole."""
    NOT_MODIFIED = "not modified"
    FAILED = "failed"


def evaluate_preconditions(conditions: Conditions, validators: Validators) -> PreconditionResult:
    """Evaluate the conditions of a GET or HEAD in the order of RFC 9110, 13.2.2.

    Malformed dates count as absent, and all do where there is no date to compare them with (13.1.3, 13.1.4).
    """
    modified = validators.modified
    if conditions.if_match is not None:
        if not _names(conditions.if_match, validators.etag, weakly=False):
            return PreconditionResult.FAILED
    elif modified is not None and (limit := _date(conditions.if_unmodified_since)) is not None and modified > limit:
        return PreconditionResult.FAILED
    if conditions.if_none_match is not None:
        if _names(conditions.if_none_match, validators.etag, weakly=True):
            return PreconditionResult.NOT_MODIFIED
    elif modified is not None and (since := _date(conditions.if_modified_since)) is not None and modified <= since:
        return PreconditionResult.NOT_MODIFIED
    if conditions.if_range is not None and not _is_current(conditions.if_range, validators):
        return PreconditionResult.IGNORE_RANGE
    return PreconditionResult.PROCEED


def _names(header: str, etag: str, *, weakly: bool) -> bool:
    """Return whether a list of tags has ours in it (8.8.3.2), or is `*`. A malformed list names nothing."""
    if header.strip(" \t") == "*":
        return True
    tags = _tags(header)
    return any(tag == etag and (weakly or not weak) for weak, tag in tags)


def _tags(header: str) -> list[tuple[bool, str]]:
    tags: list[tuple[bool, str]] = []
    leading = _SEPARATOR.match(header)
    position = leading.end() if leading else 0
    while position < len(header):
        tag = _TAG.match(header, position)
        if tag is None:
            return []
        tags.append((tag[1] is not None, tag[2]))
        gap = _SEPARATOR.match(header, tag.end())
        position = gap.end() if gap else tag.end()
        if position < len(header) and "," not in header[tag.end() : position]:
            return []
    return tags


def _is_current(if_range: str, validators: Validators) -> bool:
    """Return whether `If-Range` matches, by strong comparison (13.1.5)."""
    text = if_range.strip(" \t")
    if text.startswith(('"', "W/")):
        return text == validators.etag
    return validators.modified_is_strong and _date(text) == validators.modified


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_DATES = (
    re.compile(rf"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(rf"{_LONG_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"),
    re.compile(rf"{_DAY} {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
)
_CENTURY = 100
_FUTURE_YEARS = 50


def _date(text: str | None) -> int | None:
    """Return an HTTP date in any of its three forms (RFC 9110, 5.6.7) as seconds since 1970; None when it isn't one."""
    if text is None:
        return None
    found = next(filter(None, (form.fullmatch(text.strip(" \t")) for form in _DATES)), None)
    if found is None:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:  # noqa: PLR2004 - the obsolete form of RFC 850
        this_year = datetime.now(UTC).year
        year += this_year - this_year % _CENTURY
        if year > this_year + _FUTURE_YEARS:
            year -= _CENTURY
    try:
        moment = datetime(
            year,
            _MONTHS.index(found["month"]) + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            int(found["second"]),
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return int(moment.timestamp())
