"""Slots: how many play sessions may stream at a time, counted exactly however many replicas serve.

Where the limits are enforced: `MemorySlots.start` (`memory.py`) in one process, `lua/start.lua` for replicas that share
a Redis. Nothing else decides who gets a slot.

- `models`: sessions, limits, and what a store may answer.
- `port`: `SlotStore`, which both adapters implement and `services.stream.tests.unit.slots.contract` tests.
- `memory`, `redis`: the adapters. `redis_batch` sends starts together, `redis_rows` translates arguments and replies of
  the scripts in `lua/`; `lua/session_store.lua` is the part that all scripts share.
- `events`: the events of a session; `relay` moves them from the store to the bus.
"""

from services.stream.slots.models import (
    Active,
    Ended,
    EndReason,
    Kind,
    LimitReached,
    Limits,
    Queued,
    Renewal,
    Scope,
    Session,
    SessionRequest,
    SessionStatus,
    StartResult,
    State,
    Unavailable,
)
from services.stream.slots.port import Outgoing, SlotStore, SlotsUnavailableError

__all__ = [
    "Active",
    "EndReason",
    "Ended",
    "Kind",
    "LimitReached",
    "Limits",
    "Outgoing",
    "Queued",
    "Renewal",
    "Scope",
    "Session",
    "SessionRequest",
    "SessionStatus",
    "SlotStore",
    "SlotsUnavailableError",
    "StartResult",
    "State",
    "Unavailable",
]
