"""Rules about videos. No I/O."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Final, Literal, Protocol

from kit.errors import ErrorCode

VideoStatus = Literal["processing", "ready", "failed"]
Duplicates = Literal["allow", "refuse"]
"""What happens to an upload whose bytes a video has already."""
ProtectedSource = Literal["remove", "keep"]
"""What happens to the source of a protected film once its pack is there."""
LSV: Final = "lsv"
"""The protection of a film that is served as an LSV pack only; other films have an empty one."""

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
"""Sort orders of a list: the column, and whether it is descending. Ids sort by the time they were made."""


class AssetKind(StrEnum):
    """What an asset of a video is. Another packaging of a video gets a kind of its own (ADR 21)."""

    SOURCE = "source"
    """The file that was uploaded or imported; a video has one, unless it was removed."""
    LSV = "lsv"
    """The pack of a protected film, and the only one of its assets that is served."""


class UploadStatus(StrEnum):
    """What has become of a resumable upload."""

    RECEIVING = "receiving"
    FINISHED = "finished"
    """All bytes have arrived, and the video exists."""
    REFUSED = "refused"
    """All bytes had arrived, but a video has them already, and duplicates are refused."""


class Reaching(Protocol):
    """What decides whose films a caller may watch."""

    @property
    def is_admin(self) -> bool:
        """Whether the user is an administrator."""

    @property
    def corporation_id(self) -> str:
        """The user's corporation; empty for platform members."""


class Caller(Reaching, Protocol):
    """What the rules need to know of who is calling."""

    @property
    def user_id(self) -> str:
        """The user's id."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Whose films a caller may watch: what is kept for one caller of a reach serves all others of it."""

    is_admin: bool
    corporation_id: str

    @classmethod
    def of(cls, caller: Reaching) -> Reach:
        """Return the reach of a caller."""
        return cls(caller.is_admin, caller.corporation_id)


class Visible(Protocol):
    """What the rules need to know of a video."""

    @property
    def status(self) -> str:
        """See `VideoStatus`."""

    @property
    def uploader_id(self) -> str:
        """The user who uploaded or imported it."""

    @property
    def corporation_id(self) -> str | None:
        """The corporation that owns it; None for platform videos."""

    @property
    def deleted_at(self) -> datetime | None:
        """When it was put into the trash; None when it is not there."""


class Labels(Protocol):
    """The description of a video."""

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
        """The corporation that owns it; None for platform videos."""

    @property
    def protection(self) -> str:
        """`LSV`, or empty."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a corporation has paid for."""

    is_paid: bool
    expires_at: datetime | None
    """None for a plan that does not end."""

    def holds_at(self, moment: datetime) -> bool:
        """Return whether it is paid and has not expired."""
        return self.is_paid and (self.expires_at is None or moment < self.expires_at)


NO_PLAN: Final = Plan(is_paid=False, expires_at=None)


def in_reach(caller: Reaching, video: Visible) -> bool:
    """Return whether a video is the platform's or of the caller's corporation; administrators reach all."""
    return caller.is_admin or video.corporation_id in (None, caller.corporation_id or None)


def may_see(caller: Caller, video: Visible) -> bool:
    """Return whether a video is visible to a caller."""
    if video.deleted_at is not None or not in_reach(caller, video):
        return False
    return caller.is_admin or video.status == "ready" or video.uploader_id == caller.user_id


def may_see_in_trash(caller: Caller, video: Visible) -> bool:
    """Return whether a video is in the trash and visible to a caller there."""
    return video.deleted_at is not None and may_change(caller, video)


def may_change(caller: Caller, video: Visible) -> bool:
    """Return whether a caller may edit or delete a video."""
    return in_reach(caller, video) and (caller.is_admin or video.uploader_id == caller.user_id)


def refusal_to_restore(caller: Caller, video: Visible, plan: Plan, now: datetime) -> ErrorCode | None:
    """Return why a caller may not take a video out of the trash, as an error code; None when it is allowed.

    Args:
        caller: who restores it.
        video: in the trash.
        plan: of the video's corporation; not used for a platform video.
        now: the current time.
    """
    if not may_see_in_trash(caller, video):
        return ErrorCode.CONTENT_NOT_FOUND
    if caller.is_admin:
        return None
    if video.corporation_id is None:
        return ErrorCode.AUTH_FORBIDDEN
    return None if plan.holds_at(now) else ErrorCode.PLAN_REQUIRED


def owner_of_upload(caller: Caller, requested: str | None) -> str | None:
    """Return the corporation that will own an upload: a member's own; for administrators the requested one.

    Raises:
        PermissionError: a member requested another corporation.
    """
    if caller.is_admin:
        return requested
    own = caller.corporation_id or None
    if requested not in (None, own):
        raise PermissionError
    return own


def may_upload(caller: Caller, uploads: Literal["admin", "members"]) -> bool:
    """Return whether a caller may upload videos."""
    return caller.is_admin or uploads == "members"


def clean_text(text: str, limit: int) -> str:
    """Return one line of text without control characters, at most `limit` characters long."""
    printable = "".join(" " if unicodedata.category(letter).startswith(("C", "Z")) else letter for letter in text)
    return " ".join(unicodedata.normalize("NFC", printable).split())[:limit].rstrip()


def search_key(title: str) -> str:
    """Return the form of a title that is searched: case and Unicode form are folded.

    Korean, Chinese and Japanese are written with and without spaces: a second line holds the title without spaces.
    """
    folded = _folded(title)
    joined = _SPACE_BESIDE_CJK.sub("", folded)
    return folded if joined == folded else f"{folded}\n{joined}"


def search_words(query: str) -> list[str]:
    """Return the words that a title must hold, in any order, in the form of `search_key`.

    Words that are part of another are left out; at most `MAX_SEARCH_WORDS` are returned.
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
    """Return a title for an upload without one. File names are hostile: folders, control characters, any length."""
    base = PureWindowsPath(PurePosixPath(name).name).name
    stem, dot, extension = base.rpartition(".")
    if dot and stem and re.fullmatch(r"[A-Za-z0-9]{1,5}", extension):
        base = stem
    return clean_text(base.replace("_", " "), MAX_TITLE_CHARS) or UNTITLED


def parse_tags(text: str) -> list[str]:
    """Return the tags of a comma-separated list: trimmed, without repeats, in their order.

    Raises:
        ValueError: too many, or one is too long.
    """
    return clean_tags(text.split(","))


def clean_tags(parts: Iterable[str]) -> list[str]:
    """Return tags, trimmed, without repeats, in their order.

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
    """Return the reference of a source in the media store."""
    return f"videos/{video_id}/source"


def folder_of(reference: str) -> str:
    """Return the reference of the folder that a file is in."""
    return reference.rpartition("/")[0]


def folder_reference(video_id: str) -> str:
    """Return the reference of a video's folder in the media store."""
    return f"videos/{video_id}"


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What thumbnailer found inside a file."""

    duration_sec: float
    mime_type: str
    video_codec: str
    audio_codec: str
    width: int
    height: int
    bitrate_bps: int
    details: dict[str, Any] | None = None
    """Tracks, chapters and colours; None when the report has none."""


@dataclass(frozen=True, slots=True)
class PackInfo:
    """What thumbnailer reports about a pack that it wrote."""

    asset_id: str
    size_bytes: int
    content_version: int


class SubtitleSource(StrEnum):
    """Where subtitles come from. A person's take the place of all others, a sidecar's of the embedded ones."""

    EMBEDDED = "embedded"
    """A track of the film."""
    SIDECAR = "sidecar"
    """A file beside an imported film."""
    UPLOADED = "uploaded"


SOURCE_MISSING: Final = "SOURCE_MISSING"
"""Failure code of a video whose imported file is not there; it is ready again when the file is back."""


class ImportState(StrEnum):
    """Whether the file of an imported film is there."""

    PRESENT = "present"
    VANISHED = "vanished"
    """Not seen by a scan that is still running: it may turn up under another name."""
    MISSING = "missing"
    """Its video is hidden."""
    PRUNED = "pruned"
    """Its video was put into the trash because the file is missing."""


class ProcessingKind(StrEnum):
    """What thumbnailer can make of a film again."""

    FACTS = "facts"
    THUMBNAIL = "thumbnail"
    POSTERS = "posters"
    STORYBOARD = "storyboard"
    SUBTITLES = "subtitles"


class JobKind(StrEnum):
    """What a job does."""

    IMPORT = "import"
    REPROCESS = "reprocess"


class JobStatus(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPED = "stopped"
    """By an administrator, who may have it go on."""
    FINISHED = "finished"
    FAILED = "failed"
