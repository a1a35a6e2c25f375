"""Stand-ins for what progress asks others, and ids made to order."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from kit.auth.tokens import Caller
from kit.db.database import Database
from kit.errors import ApiError, ErrorCode
from kit.ids import new_id
from services.progress.domain import Video
from services.progress.service import Points, ViewLog, Views

MEMBER = Caller(user_id=new_id(), role="member", status="active")
COLLEAGUE = Caller(user_id=new_id(), role="member", status="active", corporation_id=new_id())
ADMIN = Caller(user_id=new_id(), role="admin", status="active")


def make_video(
    *, title: str = "Heads up", status: str = "ready", duration_sec: float = 100.0, corporation_id: str = ""
) -> Video:
    """A video."""
    return Video(
        id=new_id(),
        title=title,
        status=status,
        duration_sec=duration_sec,
        thumbnail_url="",
        corporation_id=corporation_id,
    )


def session_at(started_ms: int, salt: int = 0) -> str:
    """A session id that says when it began, in milliseconds since 1970; `salt` tells two of one moment apart."""
    return str(uuid.UUID(int=(started_ms << 80) | (0x7 << 76) | (0b10 << 62) | salt))


def now_ms() -> int:
    """The clock, as session ids have it."""
    return int(datetime.now(UTC).timestamp() * 1000)


def a_view_log(database: Database, *, per_view: int = 10) -> ViewLog:
    """Return a log of play sessions without titles and logins."""
    points = Points(database, FakeAccounts(), per_view=per_view)
    return ViewLog(database, points, Views(database), FakeCatalog(), FakeAccounts())


class FakeAccounts:
    """An auth with a few accounts, which can be away."""

    def __init__(self, **logins: str) -> None:
        self.by_id = {user_id: login for login, user_id in logins.items()}
        self.is_away = False

    async def logins(self, ids: Sequence[str]) -> Mapping[str, str]:
        """The logins of several users."""
        if self.is_away:
            raise ApiError(ErrorCode.SERVICE_UNAVAILABLE)
        return {id_: self.by_id[id_] for id_ in ids if id_ in self.by_id}


class FakeCatalog:
    """A catalog of a few videos that counts what it is asked, and can be away."""

    def __init__(self, *videos: Video) -> None:
        self.by_id = {video.id: video for video in videos}
        self.questions: list[list[str]] = []
        self.is_away = False

    def add(self, video: Video) -> Video:
        """Takes a video in."""
        self.by_id[video.id] = video
        return video

    async def videos(self, ids: Sequence[str]) -> dict[str, Video]:
        """Return several videos."""
        self.questions.append(list(ids))
        if self.is_away:
            raise ApiError(ErrorCode.SERVICE_UNAVAILABLE)
        return {id_: self.by_id[id_] for id_ in ids if id_ in self.by_id}
