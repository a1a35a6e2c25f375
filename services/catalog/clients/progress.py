"""gRPC client of progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from grpc import aio

from kit.rpc import call
from marquee.progress.v1 import progress_pb2
from marquee.progress.v1.progress_pb2_grpc import ProgressServiceStub

DEADLINE_SEC: Final = 1.0
"""Home pages and recommendations do without what does not come in time."""


@dataclass(frozen=True, slots=True)
class WatchRecord:
    """How far a viewer has come in a video."""

    video_id: str
    position_sec: float
    duration_sec: float
    """0 while it is unknown."""
    completed: bool

    @property
    def percent(self) -> int:
        """The position in whole percents of the duration, 0 to 100."""
        return min(100, int(100 * self.position_sec / self.duration_sec)) if self.duration_sec > 0 else 0


@dataclass(frozen=True, slots=True)
class ViewerHome:
    """What progress knows for a viewer's home page; ids of videos, also of such as the viewer may not see."""

    watched: Sequence[WatchRecord] = ()
    """The one changed last first."""
    trending: Sequence[str] = ()
    """What all viewers watched most, the most first."""
    co_watched: Sequence[str] = ()
    """What the viewers of the first of `watched` have watched too."""

    @property
    def film_ids(self) -> list[str]:
        """What concerns this viewer: all but what is trending."""
        return [*(record.video_id for record in self.watched), *self.co_watched]


class Viewing(Protocol):
    """What is watched."""

    async def home(self, user_id: str) -> ViewerHome:
        """Return what a viewer's home page needs. Raises ApiError: SERVICE_UNAVAILABLE."""

    async def co_watched(self, video_id: str) -> Sequence[str]:
        """Return what else the viewers of a video have watched. Raises ApiError: SERVICE_UNAVAILABLE."""


class ViewingClient:
    """`Viewing`, asked of progress."""

    def __init__(self, channel: aio.Channel) -> None:
        self._stub = ProgressServiceStub(channel)

    async def home(self, user_id: str) -> ViewerHome:
        """See `Viewing`."""
        request = progress_pb2.GetHomeRequest(user_id=user_id)
        answer = await call(self._stub.GetHome, request, deadline_sec=DEADLINE_SEC)
        watched = tuple(
            [
                WatchRecord(each.video_id, each.position_sec, each.duration_sec, each.completed)
                for each in answer.watched
            ]
        )
        return ViewerHome(watched, tuple([each.video_id for each in answer.trending]), tuple(answer.co_watched))

    async def co_watched(self, video_id: str) -> Sequence[str]:
        """See `Viewing`."""
        request = progress_pb2.GetCoWatchedRequest(video_id=video_id)
        return list((await call(self._stub.GetCoWatched, request, deadline_sec=DEADLINE_SEC)).video_ids)
