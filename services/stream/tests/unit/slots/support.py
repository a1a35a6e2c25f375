"""Requests for slots, and a world whose clock a test sets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from kit.events.envelope import Event
from kit.ids import new_id
from services.stream.slots import Active, Kind, Limits, Queued, Renewal, Session, SessionRequest, SlotStore

LIMITS = Limits(platform=4, per_user=2, queue=3, idle_sec=30, tombstone_sec=600)
IDLE = LIMITS.idle_sec
TICK = LIMITS.tick_sec
BEGINNING_SEC = 1_700_000_000.0


def a_request(user: str = "", *, kind: Kind = Kind.EXPLICIT, **fields: str) -> SessionRequest:
    """A request of this user, or of a new one."""
    return SessionRequest(
        session_id=fields.get("session_id") or new_id(),
        user_id=user or new_id(),
        video_id=fields.get("video_id", "film"),
        kind=kind,
        device_name=fields.get("device_name", "거실 TV 📺"),
        device_key=fields.get("device_key", ""),
        source=fields.get("source", "nas"),
    )


def of_client(user: str, device: str) -> SessionRequest:
    """An implicit session of another video."""
    return a_request(user, video_id=new_id(), kind=Kind.IMPLICIT, device_key=device)


class World(ABC):
    """Replicas, what they share, and its clock."""

    refuses_after_loss: bool
    """Whether nothing new is granted after a loss until replicas had the time to report which sessions they serve."""
    settle_sec: float
    """Seconds after a session was stopped until its event must be there."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    @property
    @abstractmethod
    def now(self) -> float:
        """Seconds since 1970."""

    @property
    @abstractmethod
    def stores(self) -> Sequence[SlotStore]:
        """One a replica; all see the same."""

    @abstractmethod
    async def jump(self, sec: float) -> None:
        """Set the clock forward, or back, without any renewal."""

    @abstractmethod
    async def forget(self) -> None:
        """Lose all data; the replicas go on."""

    @abstractmethod
    async def restart(self) -> None:
        """Start the store anew with all its data."""

    @property
    def store(self) -> SlotStore:
        """Any replica's."""
        return self.stores[0]

    async def wait(self, sec: float) -> None:
        """Let time pass while replicas that serve no session renew."""
        tick = self.limits.tick_sec
        while sec > 0:
            await self.jump(min(tick, sec))
            await self.store.renew([])
            sec -= tick

    async def open(self) -> None:
        """Wait until new sessions are granted again."""
        await self.store.renew([])
        if self.refuses_after_loss:
            await self.wait(self.limits.idle_sec)

    async def play(self, *sessions: Session, sec: float = 0) -> None:
        """Let time pass while these sessions are renewed."""
        tick = self.limits.tick_sec
        while True:
            await self.store.renew([Renewal(session) for session in sessions])
            if sec <= 0:
                return
            await self.jump(min(tick, sec))
            sec -= tick

    async def granted(self, request: SessionRequest) -> Session:
        """Start a session that gets a slot."""
        result = await self.store.start(request)
        assert isinstance(result, Active), result
        return result.session

    async def queued(self, request: SessionRequest) -> Session:
        """Start a session that has to wait."""
        result = await self.store.start(request)
        assert isinstance(result, Queued), result
        return result.session

    async def fill(self) -> list[Session]:
        """Take every free slot of the platform, each for another user."""
        return [await self.granted(a_request()) for _ in range(self.limits.platform - len(await self.store.all()))]

    async def events(self) -> list[Event]:
        """Return the events since the last call, in order, once all of them must be there."""
        await self.wait(self.settle_sec)
        events: list[Event] = []
        while batch := await self.store.pending(2):
            await self.store.acknowledge([each.receipt for each in batch])
            events += [each.event for each in batch]
        return events
