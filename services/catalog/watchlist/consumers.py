"""Consumer of watchlists: erases those of deleted accounts."""

from __future__ import annotations

from collections.abc import Sequence

from kit.bus import Bus, Subscription
from kit.db.database import Database, Transaction
from kit.db.event_groups import CONCURRENCY, EventGroups, Received
from kit.events.envelope import Event, MalformedEventError
from kit.events.registry import type_of
from kit.ids import is_id
from marquee.events.v1 import user_pb2
from services.catalog.watchlist.service import erase_watchlists

ACCOUNTS = Subscription("catalog.accounts", (type_of(user_pb2.UserDeleted),), concurrency=CONCURRENCY)


def subscribe(bus: Bus, database: Database) -> None:
    """Subscribe the consumer."""

    async def erase(transaction: Transaction, accounts: Sequence[Received[str]]) -> Sequence[None]:
        await erase_watchlists(transaction, [each.content for each in accounts])
        return [None] * len(accounts)

    accounts = EventGroups(database, ACCOUNTS, erase, service="catalog")

    async def on_account(event: Event) -> None:
        user_id = event.read(user_pb2.UserDeleted).user_id
        if not is_id(user_id):
            raise MalformedEventError(f"{event.id}: {user_id!r} is no id")
        await accounts.apply(event, user_id)

    bus.subscribe(ACCOUNTS, on_account)
