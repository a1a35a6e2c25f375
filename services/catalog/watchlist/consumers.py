"""Consumer of watchlists: erases those of deleted accounts."""

from __future__ import annotations

from kit.bus import Bus, Subscription
from kit.db.database import Database
from kit.events.envelope import Event, MalformedEventError
from kit.events.registry import type_of
from kit.ids import is_id
from kit.telemetry import service_context
from marquee.events.v1 import user_pb2
from services.catalog.watchlist.service import erase_watchlist

ACCOUNTS = Subscription("catalog.accounts", (type_of(user_pb2.UserDeleted),), concurrency=4)


def subscribe(bus: Bus, database: Database) -> None:
    """Subscribe the consumer."""

    async def on_account(event: Event) -> None:
        user_id = event.read(user_pb2.UserDeleted).user_id
        if not is_id(user_id):
            raise MalformedEventError(f"{event.id}: {user_id!r} is no id")
        with service_context("catalog"):
            async with database.write() as transaction:
                if await transaction.first_delivery(ACCOUNTS.name, event):
                    await erase_watchlist(transaction, user_id)

    bus.subscribe(ACCOUNTS, on_account)
