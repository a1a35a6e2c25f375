"""Play sessions of this replica: who may have bytes now, in memory; slots, in `services.stream.slots`, are everybody's.

- `playing`: one session, its bytes and signs of life.
- `register`: all sessions that this process has to do with, and the batches in which the store is told of them.
- `sessions`: the use cases: start, join with a ticket, implicit ones, heartbeats, stops.
- `overview`: sums and rates over all sessions of the platform.
- `devices`: what a device is called.
"""

from services.stream.sessions.outcomes import Refusal, Shown
from services.stream.sessions.overview import Overview
from services.stream.sessions.playing import Client, Playing
from services.stream.sessions.register import Register
from services.stream.sessions.sessions import Sessions

__all__ = ["Client", "Overview", "Playing", "Refusal", "Register", "Sessions", "Shown"]
