"""A consumer of progress as a process of its own, for tests that kill it.

python -m services.progress.tests.integration.consume DATABASE_URL EVENTS_FILE

Hands every event of the file (JSON, one a line) to progress's handlers three times in a row, several events at a time,
and prints a line for each delivery that was committed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from kit.db.database import Database
from kit.events.envelope import Event
from kit.testing.fakes import FakeBus
from services.progress.consumers import VIEWS, subscribe
from services.progress.tests.fakes import a_view_log

DELIVERIES = 3


async def consume(database_url: str, events: list[Event]) -> None:
    """Delivers everything."""
    bus, database = FakeBus(), Database(database_url)
    subscribe(bus, database, a_view_log(database))
    at_once = asyncio.Semaphore(VIEWS.concurrency * 2)

    async def deliver(event: Event) -> None:
        for _ in range(DELIVERIES):
            async with at_once:
                await bus.deliver(event)
            sys.stdout.write("delivered\n")
            sys.stdout.flush()

    await asyncio.gather(*(deliver(event) for event in events))
    await database.close()


if __name__ == "__main__":
    lines = Path(sys.argv[2]).read_text().splitlines()
    events = [json.loads(line) for line in lines]
    asyncio.run(consume(sys.argv[1], [Event(**{**each, "body": each["body"].encode()}) for each in events]))
