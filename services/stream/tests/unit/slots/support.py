"""StreamAuthenticator, and a world in which time is told to go by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from kit.events.envelope import Event
from kit.ids import new_id
from services.stream.slots import Active, Kind, Limits, Queued, Renewal, Session, SessionRequest, SlotStore

LIMITS = Limits(platform=4, per_user=2, queue=3, idle_sec=30, tombstone_sec=600)
BEGINNING_SEC = 1_700_000_000.0


def a_request(user: str = "", *, kind: Kind = Kind.EXPLICIT, **facts: str) -> SessionRequest:
    """Somebody, or this user, who wants to watch something."""
    return SessionRequest(
        session_id=facts.get("session_id") or new_id(),
        user_id=user or new_id(),
        video_id=facts.get("video_id", "film"),
        kind=kind,
        device_name=facts.get("device_name", "거실 TV 📺"),
        device_key=facts.get("device_key", ""),
        source=facts.get("source", "nas"),
    )


class World(ABC):
    """Replicas, what they share, and its clock."""

    refuses_after_gap: bool
    """Whether nothing new is granted until replicas had the time to tell whom they serve."""
    settle_sec: float
    """How long after a session was stopped its event may be told."""

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
        """The clock goes on, or back, and no replica says anything."""

    @abstractmethod
    async def forget(self) -> None:
        """All data is lost, and the replicas go on."""

    @property
    def store(self) -> SlotStore:
        """Any replica's."""
        return self.stores[0]

    async def wait(self, sec: float) -> None:
        """Time goes by, and replicas that serve nobody tick."""
        tick = self.limits.tick_sec
        while sec > 0:
            await self.jump(min(tick, sec))
            await self.store.renew([])
            sec -= tick

    async def open(self) -> None:
        """Waits until newcomers are let in again."""
        await self.store.renew([])
        if self.refuses_after_gap:
            await self.wait(self.limits.idle_sec)

    async def play(self, *sessions: Session, sec: float = 0) -> None:
        """Time goes by, and these sessions are being watched, or wait, all along."""
        tick = self.limits.tick_sec
        while True:
            await self.store.renew([Renewal(session) for session in sessions])
            if sec <= 0:
                return
            await self.jump(min(tick, sec))
            sec -= tick

    async def granted(self, request: SessionRequest) -> Session:
        """Starts a session that gets a slot."""
        result = await self.store.start(request)
        assert isinstance(result, Active), result
        return result.session

    async def queued(self, request: SessionRequest) -> Session:
        """Starts a session that has to wait."""
        result = await self.store.start(request)
        assert isinstance(result, Queued), result
        return result.session

    async def fill(self) -> list[Session]:
        """Takes every free slot of the platform, each for another user."""
        return [await self.granted(a_request()) for _ in range(self.limits.platform - len(await self.store.all()))]

    async def events(self) -> list[Event]:
        """What was told since the last time, in order; once all of it must have been."""
        await self.wait(self.settle_sec)
        told = []
        while batch := await self.store.pending(2):
            await self.store.acknowledge([each.receipt for each in batch])
            told += [each.event for each in batch]
        return told
