"""Play sessions, their limits, and what a slot store may answer about them. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum


class Kind(Enum):
    """How a session came to be."""

    EXPLICIT = "explicit"
    """A player asked for it, and reports when it is over. It may wait in the queue."""
    IMPLICIT = "implicit"
    """Made for a bare `GET …/stream` of curl, VLC or a plain `<video>`. It never waits."""


class State(Enum):
    """Whether a session holds a slot."""

    ACTIVE = "active"
    QUEUED = "queued"


class EndReason(Enum):
    """Why a session is no more."""

    ENDED = "ended"
    """Its own player ended it."""
    REPLACED = "replaced"
    """The viewer took its place over with another device."""
    STOPPED = "stopped"
    """The viewer stopped it from another device."""
    ADMIN = "admin"
    """An admin stopped it."""
    REVOKED = "revoked"
    """Its login was ended, or its user may not watch any more."""
    EXPIRED = "expired"
    """No sign of life for the idle time."""
    UNKNOWN = "unknown"
    """The store does not know it, and there is no room for it now."""


class Scope(Enum):
    """Whose limit is reached."""

    USER = "user"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Limits:
    """How many may watch, and after how long without a sign of life a session ends.

    Raises:
        ValueError: a limit is out of range.
    """

    platform: int = 100
    """Sessions that hold a slot at a time, on all replicas together."""
    per_user: int = 3
    """Sessions of one user at a time, those waiting included."""
    queue: int = 50
    """Sessions that wait for a slot."""
    idle_sec: float = 30.0
    """Seconds after the last sign of life after which a session is over."""
    tombstone_sec: float = 3600.0
    """Seconds for which an ended session can't come back. Longer than any ticket is valid."""

    def __post_init__(self) -> None:
        if self.platform < 1 or self.per_user < 1 or self.queue < 0:
            raise ValueError("platform and per_user must be at least 1, queue at least 0")
        if self.idle_sec <= 0 or self.tombstone_sec < self.idle_sec:
            raise ValueError("idle_sec must be positive, tombstone_sec no less")

    @property
    def tick_sec(self) -> float:
        """The longest pause between two renewals by a replica, in seconds."""
        return self.idle_sec / 6

    @property
    def gap_sec(self) -> float:
        """Silence of all replicas that means more than a late tick, in seconds: two ticks."""
        return 2 * self.tick_sec


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """A request for a slot: which user wants to watch which video, on which device."""

    session_id: str
    """A UUID. Starting the same one twice is starting it once."""
    user_id: str
    video_id: str
    kind: Kind = Kind.EXPLICIT
    device_name: str = ""
    """For people: "Living room TV"."""
    device_key: str = ""
    """For programs: two implicit sessions of one user, video and key are one. Not used for explicit ones."""
    source: str = ""
    """The tier that the bytes come from when it starts: `ssd`, `nas`, `remote`."""


@dataclass(frozen=True, slots=True)
class Session:
    """A play session as the store knows it. Times are the store's, to the millisecond."""

    request: SessionRequest
    state: State
    replica: str
    """The process that last renewed it."""
    started_at: datetime
    """When it got its slot or, of a queued one, when it began to wait."""
    seen_at: datetime
    """Its last sign of life: bytes that flowed, a heartbeat, a poll by a queued viewer."""
    bytes_sent: int = 0
    """Body bytes sent by all replicas, as of their last renewals."""

    @property
    def id(self) -> str:
        """Return the session's id."""
        return self.request.session_id


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a replica knows of a session that it serves or keeps for a waiting viewer."""

    session: Session
    """As the store last gave it, so that a store that lost its data can be given it back."""
    bytes_sent: int = 0
    """Body bytes of this session sent by this process since it started: a sum that never goes back, not a difference,
    so that a renewal repeated counts once."""
    idle_sec: float = 0.0
    """Seconds since this process last saw a sign of life of it. Not a time, as clocks differ."""
    is_finished: bool = False
    """Of an implicit one: its last answer here is complete, and this process sends nothing more of it before `start`
    says that it may. When all processes that serve it have reported so, it gives way to its client's next video."""


@dataclass(frozen=True, slots=True)
class Active:
    """It holds a slot."""

    session: Session


@dataclass(frozen=True, slots=True)
class Queued:
    """It waits for a slot."""

    session: Session
    position: int
    """1 is next."""
    retry_after_sec: float
    """When the viewer should ask again. Asking is its sign of life."""


@dataclass(frozen=True, slots=True)
class Ended:
    """It is over: a replica that serves it stops."""

    reason: EndReason


@dataclass(frozen=True, slots=True)
class LimitReached:
    """A limit is reached and there is no place to wait."""

    scope: Scope
    limit: int
    sessions: tuple[Session, ...]
    """The viewer's own, waiting ones included: stopping one of them would make room."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Nothing new is granted now: the store can't be asked, or is finding out who is playing after a gap."""

    retry_after_sec: float


SessionStatus = Active | Queued | Ended
StartResult = Active | Queued | LimitReached | Unavailable


def to_ms(moment: datetime) -> int:
    """Return milliseconds since 1970-01-01 UTC."""
    return round(moment.timestamp() * 1000)


def from_ms(milliseconds: int) -> datetime:
    """Return the moment so many milliseconds after 1970-01-01 UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
