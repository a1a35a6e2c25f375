"""Rules about videos. No I/O."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath, PureWindowsPath
from typing import Final, Literal, Protocol

from kit.errors import ErrorCode

VideoStatus = Literal["processing", "ready", "failed"]

MAX_TITLE_CHARS = 200
MAX_DESCRIPTION_CHARS = 5000
MAX_TAGS = 20
MAX_TAG_CHARS = 40
UNTITLED = "Untitled"
MAX_SEARCH_WORDS = 20

_CJK = "[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]"
"""Hangul, kana and Han."""
_SPACE_BESIDE_CJK = re.compile(f" (?={_CJK})|(?<={_CJK}) ")
_LONGEST_FOLDING = 18
"""No character becomes more than this many by NFKC (UAX 15, 9)."""

SORTS: Final[dict[str, tuple[str, bool]]] = {
    "-created_at": ("id", True),
    "created_at": ("id", False),
    "title": ("title", False),
    "-title": ("title", True),
    "duration_sec": ("duration_sec", False),
    "-duration_sec": ("duration_sec", True),
}
"""What a list may be sorted by: the column and whether it runs downwards. Ids sort by the time they were made."""


class Viewer(Protocol):
    """What the rules need to know of a caller."""

    @property
    def user_id(self) -> str:
        """Who it is."""

    @property
    def is_admin(self) -> bool:
        """Whether they run the platform."""

    @property
    def corporation_id(self) -> str:
        """Where they belong; empty for platform members."""


class Visible(Protocol):
    """What the rules need to know of a video."""

    @property
    def status(self) -> str:
        """See `VideoStatus`."""

    @property
    def uploader_id(self) -> str:
        """Who brought it in."""

    @property
    def corporation_id(self) -> str | None:
        """Whose it is; None for platform videos."""

    @property
    def deleted_at(self) -> datetime | None:
        """When it was put into the trash, if it is there."""


class Labels(Protocol):
    """What people say of a video."""

    @property
    def title(self) -> str:
        """One line."""

    @property
    def description(self) -> str:
        """May be empty."""

    @property
    def tags(self) -> list[str]:
        """Each once."""

    @property
    def corporation_id(self) -> str | None:
        """Whose it is; None for everybody's."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a corporation has paid for."""

    is_paid: bool
    expires_at: datetime | None
    """None for a plan that does not end."""

    def holds_at(self, moment: datetime) -> bool:
        """Whether it is a paid one that has not expired."""
        return self.is_paid and (self.expires_at is None or moment < self.expires_at)


NO_PLAN: Final = Plan(is_paid=False, expires_at=None)


def in_reach(viewer: Viewer, video: Visible) -> bool:
    """Whether a video is of the platform or of the viewer's own corporation; for administrators all are in reach."""
    return viewer.is_admin or video.corporation_id in (None, viewer.corporation_id or None)


def may_see(viewer: Viewer, video: Visible) -> bool:
    """Whether a video exists as far as this viewer is concerned."""
    if video.deleted_at is not None or not in_reach(viewer, video):
        return False
    return viewer.is_admin or video.status == "ready" or video.uploader_id == viewer.user_id


def may_see_in_trash(viewer: Viewer, video: Visible) -> bool:
    """Whether a video is in the trash as far as this viewer is concerned."""
    return video.deleted_at is not None and may_change(viewer, video)


def may_change(viewer: Viewer, video: Visible) -> bool:
    """Whether a viewer may describe a video anew, or delete it."""
    return in_reach(viewer, video) and (viewer.is_admin or video.uploader_id == viewer.user_id)


def refusal_to_restore(viewer: Viewer, video: Visible, plan: Plan, now: datetime) -> ErrorCode | None:
    """Why a viewer may not take a video out of the trash: an error code; None when they may.

    Args:
        viewer: who wants to.
        video: which.
        plan: the plan of the video's corporation; of no matter for a platform video.
        now: the moment at which it would come back.
    """
    if not may_see_in_trash(viewer, video):
        return ErrorCode.CONTENT_NOT_FOUND
    if viewer.is_admin:
        return None
    if video.corporation_id is None:
        return ErrorCode.AUTH_FORBIDDEN
    return None if plan.holds_at(now) else ErrorCode.PLAN_REQUIRED


def home_of_upload(viewer: Viewer, wanted: str | None) -> str | None:
    """Whose an upload will be: members' are their corporation's, administrators' are whose they say.

    Raises:
        PermissionError: a member wants it to be somebody else's.
    """
    if viewer.is_admin:
        return wanted
    own = viewer.corporation_id or None
    if wanted not in (None, own):
        raise PermissionError
    return own


def may_upload(viewer: Viewer, uploads: Literal["admin", "members"]) -> bool:
    """Whether a viewer may bring videos in."""
    return viewer.is_admin or uploads == "members"


def clean_text(text: str, limit: int) -> str:
    """One line of text without control characters, at most `limit` characters long."""
    printable = "".join(" " if unicodedata.category(letter).startswith(("C", "Z")) else letter for letter in text)
    return " ".join(unicodedata.normalize("NFC", printable).split())[:limit].rstrip()


def search_key(title: str) -> str:
    """Return what searches look into: neither case nor the way a letter is written tells titles apart.

    Korean, Chinese and Japanese are written with and without spaces: a second line holds the title without those.
    """
    folded = _folded(title)
    joined = _SPACE_BESIDE_CJK.sub("", folded)
    return folded if joined == folded else f"{folded}\n{joined}"


def search_words(query: str) -> list[str]:
    """Return the words that a title must hold, in any order, in the form of `search_key`.

    Those that are part of another are left out; no more than `MAX_SEARCH_WORDS` count.
    """
    words = sorted(dict.fromkeys(_folded(query).split()), key=len, reverse=True)
    kept: list[str] = []
    for word in words:
        if not any(word in longer for longer in kept):
            kept.append(word)
    return kept[:MAX_SEARCH_WORDS]


def _folded(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    # Folding may leave letters that could be composed further.
    return clean_text(unicodedata.normalize("NFKC", folded), len(folded) * _LONGEST_FOLDING)


def title_from_file_name(name: str) -> str:
    """A title for an upload that came without one. File names are hostile: folders, control characters, any length."""
    base = PureWindowsPath(PurePosixPath(name).name).name
    stem, dot, extension = base.rpartition(".")
    if dot and stem and re.fullmatch(r"[A-Za-z0-9]{1,5}", extension):
        base = stem
    return clean_text(base.replace("_", " "), MAX_TITLE_CHARS) or UNTITLED


def parse_tags(text: str) -> list[str]:
    """Tags from a comma-separated list: trimmed, without repeats, in their order.

    Raises:
        ValueError: too many, or one is too long.
    """
    return clean_tags(text.split(","))


def clean_tags(parts: Iterable[str]) -> list[str]:
    """Tags, trimmed, without repeats, in their order.

    Raises:
        ValueError: too many, or one is too long.
    """
    tags = list(dict.fromkeys(tag for part in parts if (tag := clean_text(part, len(part)))))
    if len(tags) > MAX_TAGS:
        raise ValueError(f"at most {MAX_TAGS} tags")
    if any(len(tag) > MAX_TAG_CHARS for tag in tags):
        raise ValueError(f"a tag has at most {MAX_TAG_CHARS} characters")
    return tags


def source_reference(video_id: str) -> str:
    """Where an original is in the media store."""
    return f"videos/{video_id}/source"


def folder_reference(video_id: str) -> str:
    """Where everything of a video is in the media store."""
    return f"videos/{video_id}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the thumbnailer found inside a file."""

    duration_sec: float
    mime_type: str
    video_codec: str
    audio_codec: str
    width: int
    height: int
    bitrate_bps: int
