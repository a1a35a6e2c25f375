"""Play sessions of this replica: which sessions may have bytes now, in memory.

The slots of all replicas are in `services.stream.slots`.

- `local_session`: one session, its bytes and signs of life.
- `registry`: all sessions that this process serves, and their renewal in batches.
- `service`: the use cases: start, join with a ticket, implicit sessions, heartbeats, stops.
- `conversions`: between callers and tickets, and requests and results of the slot store.
- `tickets`, `ticket_key`: the tickets of media URLs, and the secret that signs them.
- `accepting`: whether new sessions are granted, for health.
- `statistics`: sums and rates over all sessions of the platform.
- `event_log`: log lines and counts of events; `qoe`: what players report; `metrics`: gauges.
- `device_names`: names of devices, and keys of clients without a session.
"""

from services.stream.sessions.conversions import StreamLimitError, WatchTarget
from services.stream.sessions.local_session import ClientKey, LocalSession
from services.stream.sessions.registry import SessionRegistry
from services.stream.sessions.service import Sessions
from services.stream.sessions.statistics import SessionStatistics

__all__ = [
    "ClientKey",
    "LocalSession",
    "SessionRegistry",
    "SessionStatistics",
    "Sessions",
    "StreamLimitError",
    "WatchTarget",
]
