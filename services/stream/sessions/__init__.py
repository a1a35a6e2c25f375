"""Play sessions of this replica: who may have bytes now, in memory; slots, in `services.stream.slots`, are everybody's.

- `local_session`: one session, its bytes and signs of life.
- `registry`: all sessions that this process has to do with, and the batches in which the store is told of them.
- `service`: the use cases: start, join with a ticket, implicit ones, heartbeats, stops.
- `statistics`: sums and rates over all sessions of the platform.
- `device_names`: what a device is called.
"""

from services.stream.sessions.local_session import Client, LocalSession
from services.stream.sessions.outcomes import StreamLimitError, WatchTarget
from services.stream.sessions.registry import SessionRegistry
from services.stream.sessions.service import Sessions
from services.stream.sessions.statistics import SessionStatistics

__all__ = [
    "Client",
    "LocalSession",
    "SessionRegistry",
    "SessionStatistics",
    "Sessions",
    "StreamLimitError",
    "WatchTarget",
]
