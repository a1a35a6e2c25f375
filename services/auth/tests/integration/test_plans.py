"""Plans set, expired and left alone at random: the plan in effect is the one bought, and each end emits one event."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from kit.db.database import Database
from kit.events.outbox import outbox
from kit.testing.databases import MigratedDatabases
from services.auth.domain import Plan, effective_plan
from services.auth.service import Actor, Corporations
from services.auth.tests.support import Clock


@dataclass
class Bought:
    """What the model knows of one corporation."""

    plan: Plan = "free"
    ends_at: datetime | None = None
    ends: list[datetime] = field(default_factory=list)
    """When each plan that was bought with an end, and not replaced before it, came to it."""

    def counts(self, now: datetime) -> bool:
        """Whether a paid plan counts."""
        return self.plan == "paid" and (self.ends_at is None or now < self.ends_at)


class Plans(RuleBasedStateMachine):
    """Two replicas, one database, a clock that goes on."""

    migrated: MigratedDatabases

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.migrated.sqlite(self.folder / "auth.db")
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.bought: dict[str, Bought] = {}

    @initialize()
    def begin(self) -> None:
        async def wire() -> None:
            url = f"sqlite+aiosqlite:///{self.folder}/auth.db"
            self.databases = [Database(url), Database(url)]
            self.replicas = [Corporations(database, self.clock) for database in self.databases]
            for name in ("one", "two"):
                self.bought[(await self.replicas[0].make(name, Actor())).id] = Bought()

        self.runner.run(wire())

    def teardown(self) -> None:
        for database in self.databases:
            self.runner.run(database.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    @rule(seconds=st.sampled_from([1, 5, 60, 3600]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)

    @rule(
        data=st.data(), plan=st.sampled_from(["free", "paid"]), lasts_sec=st.none() | st.sampled_from([1, 5, 6, 3600])
    )
    def set_plan(self, data: st.DataObject, plan: Plan, lasts_sec: int | None) -> None:
        corporation_id = data.draw(st.sampled_from(sorted(self.bought)))
        ends_at = self.clock() + timedelta(seconds=lasts_sec) if plan == "paid" and lasts_sec else None
        self.runner.run(self.replicas[0].set_plan(corporation_id, plan, ends_at, Actor()))
        bought = self.bought[corporation_id]
        bought.plan, bought.ends_at = plan, ends_at

    @rule(sweeps=st.integers(1, 4))
    def sweep(self, sweeps: int) -> None:
        async def all_at_once() -> list[int]:
            both = (replica for _ in range(sweeps) for replica in self.replicas)
            return await asyncio.gather(*(replica.expire_plans() for replica in both))

        now = self.clock()
        due = [each for each in self.bought.values() if each.ends_at is not None and each.ends_at <= now]
        assert sum(self.runner.run(all_at_once())) == len(due)
        for each in due:
            assert each.ends_at is not None
            each.ends.append(each.ends_at)
            each.plan, each.ends_at = "free", None

    @invariant()
    def what_counts_is_what_was_bought(self) -> None:
        async def look() -> tuple[dict[str, bool], dict[str, int]]:
            found = await self.replicas[1].by_ids(list(self.bought))
            async with self.databases[1].read() as session:
                chosen = select(outbox.c.subject).where(outbox.c.type == "corporation.plan_expired")
                expiries = list((await session.execute(chosen)).scalars())
            paid = {each.id: effective_plan(each.plan, each.plan_expires_at, self.clock()) == "paid" for each in found}
            return paid, {corporation_id: expiries.count(corporation_id) for corporation_id in self.bought}

        paid, expired = self.runner.run(look())
        assert paid == {corporation_id: each.counts(self.clock()) for corporation_id, each in self.bought.items()}
        assert expired == {corporation_id: len(each.ends) for corporation_id, each in self.bought.items()}


def test_plans_end_when_bought_to_end(migrated: MigratedDatabases) -> None:
    Plans.migrated = migrated
    case = Plans.TestCase
    case.settings = settings(
        max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
    )
    case("runTest").debug()
