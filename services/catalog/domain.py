"""Rules about videos. No I/O."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Final, Literal, Protocol

VideoStatus = Literal["processing", "ready", "failed"]

MAX_TITLE_CHARS = 200
MAX_DESCRIPTION_CHARS = 5000
MAX_TAGS = 20
MAX_TAG_CHARS = 40
UNTITLED = "Untitled"

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

    status: str
    uploader_id: str
    corporation_id: str | None


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


def may_see(viewer: Viewer, video: Visible) -> bool:
    """Whether a video exists as far as this viewer is concerned."""
    if viewer.is_admin or video.uploader_id == viewer.user_id:
        return True
    return video.status == "ready" and video.corporation_id in (None, viewer.corporation_id or None)


def may_upload(viewer: Viewer, uploads: Literal["admin", "members"]) -> bool:
    """Whether a viewer may bring videos in."""
    return viewer.is_admin or uploads == "members"


def clean_text(text: str, limit: int) -> str:
    """One line of text without control characters, at most `limit` characters long."""
    printable = "".join(" " if unicodedata.category(letter).startswith(("C", "Z")) else letter for letter in text)
    return " ".join(unicodedata.normalize("NFC", printable).split())[:limit].rstrip()


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
