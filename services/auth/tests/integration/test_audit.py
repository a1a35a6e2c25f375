"""The audit log, and the alerts that it raises, on both databases."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from kit.audit import Admin, AuditAction
from kit.db.database import Database
from kit.events.envelope import MalformedEventError
from kit.ids import new_id
from kit.testing.fakes import FakeBus
from kit.testing.queries import count_queries
from services.auth.clients.webhook import Webhook
from services.auth.consumers import subscribe
from services.auth.models import AccountChange, Alert, AuditEntry
from services.auth.service import Audit, utc_now
from services.auth.service.audit import BURST_WINDOW, DELIVERIES, FIRST_RETRY
from services.auth.tests.integration.audit_support import BURST, a_hook, audit_of, maintenance_of
from services.auth.tests.support import ADMIN, Auth, Clock, problem


class AuditContract:
    """Holds for every database; subclasses say where theirs is."""

    async def read(self, auth: Auth, **wanted: str) -> list[dict[str, Any]]:
        answer = await auth.client.get("/api/admin/audit", params=wanted, headers=await auth.bearer())
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["total"] >= len(body["items"])
        return list(body["items"])

    async def test_entry_has_actor_target_address_and_time(self, auth: Auth, clock: Clock) -> None:
        user_id = (await auth.register("alice")).json()["id"]
        headers = await auth.bearer()
        admin_id = (await auth.client.get("/api/users/me", headers=headers)).json()["id"]
        clock.advance(seconds=1)
        here = auth.browser("192.0.2.7")
        await here.patch(f"/api/users/{user_id}", json={"role": "admin"}, headers=headers)
        (entry,) = await self.read(auth, action="user.changed")
        assert entry.pop("id")
        assert entry == {
            "at": clock().isoformat().replace("+00:00", "Z"),
            "action": "user.changed",
            "actor_id": admin_id,
            "target_kind": "user",
            "target_id": user_id,
            "client_address": "192.0.2.7",
            "details": {"changed": ["role"], "role": "admin", "corporation_id": None},
        }

    async def test_every_administrative_action_is_recorded(self, auth: Auth) -> None:
        user_id = (await auth.register("alice")).json()["id"]
        headers = await auth.bearer()
        for path in ("suspend", "approve", "password-reset"):
            await auth.client.post(f"/api/users/{user_id}/{path}", headers=headers)
        made = await auth.client.post("/api/corporations", json={"name": "Acme"}, headers=headers)
        path = f"/api/corporations/{made.json()['id']}"
        await auth.client.patch(path, json={"name": "Other"}, headers=headers)
        await auth.client.put(f"{path}/plan", json={"plan": "paid"}, headers=headers)
        await auth.client.delete(path, headers=headers)
        await auth.client.delete(f"/api/users/{user_id}", headers=headers)
        await auth.log_in("unknown", "wrong")
        await auth.client.post("/api/auth/logout", headers=headers)
        actions = [entry["action"] for entry in reversed(await self.read(auth, page_size="100"))]
        assert actions == [
            "user.registered",
            "user.registered",
            "login.succeeded",
            "user.suspended",
            "user.approved",
            "password.reset_issued",
            "corporation.created",
            "corporation.changed",
            "corporation.plan_changed",
            "corporation.deleted",
            "user.deleted",
            "login.failed",
            "login.ended",
            "login.succeeded",
        ]

    async def test_repeated_event_is_recorded_once(self, auth: Auth, database: Database) -> None:
        admin_id = await self.admin_id(auth)
        video_id = new_id()
        act = AuditAction(
            Admin(admin_id, "192.0.2.7"), "video.deleted", "video", video_id, {"title": "영화", "left": 3}
        )
        events = [act.event("catalog", at=datetime(2026, 3, 1, 12, 0, second, tzinfo=UTC)) for second in range(3)]
        bus = listening(auth, database)
        await asyncio.gather(*(bus.deliver(event) for event in [*events, *events, *reversed(events)]))
        entries = await self.read(auth, action="video.deleted", actor_id=admin_id, target_id=video_id)
        assert [entry["at"] for entry in entries] == [f"2026-03-01T12:00:0{second}Z" for second in (2, 1, 0)]
        assert entries[0] | {"target_kind": "video", "client_address": "192.0.2.7"} == entries[0]
        assert entries[0]["details"] == {"title": "영화", "left": 3}
        assert await self.read(auth, action="video.deleted", since="2026-03-01T12:00:03Z") == []

    async def test_personal_data_of_erased_users_is_removed(self, auth: Auth, database: Database) -> None:
        """The event arrives before the erasure, after it, or at the same time."""
        headers = await auth.bearer()
        bus = listening(auth, database)
        for number, when in enumerate(("before", "at once", "after")):
            made = [(await auth.register(f"{name}-{number}")).json()["id"] for name in ("boss", "ann")]
            boss, ann = made
            await auth.client.patch(f"/api/users/{boss}", json={"role": "admin"}, headers=headers)
            acts = [
                AuditAction(Admin(boss, "192.0.2.7"), "points.adjusted", "user", ann, {"reason": "for Ann"}).event(
                    "progress"
                )
                for _ in range(4)
            ]

            async def erase(users: list[str] = made) -> None:
                for user_id in users:
                    answer = await auth.client.delete(f"/api/users/{user_id}", headers=headers)
                    assert answer.status_code == 204, answer.text

            tell = [bus.deliver(act) for act in acts]
            if when == "at once":
                await asyncio.gather(erase(), *tell)
            elif when == "before":
                await asyncio.gather(*tell)
                assert {entry["client_address"] for entry in await self.read(auth, target_id=ann)} > {"192.0.2.7"}
                await erase()
            else:
                await erase()
                await asyncio.gather(*tell)
            entries = await self.read(auth, action="points.adjusted", actor_id=boss)
            assert len(entries) == 4
            assert {(entry["client_address"], *entry["details"]) for entry in entries} == {("",)}, when

    async def test_malformed_event_becomes_a_dead_letter(self, auth: Auth, database: Database) -> None:
        admin = Admin(new_id(), "192.0.2.7")
        bus = listening(auth, database)
        sound = AuditAction(admin, "video.deleted", "video", new_id()).event("catalog")
        broken = [
            AuditAction(Admin("root"), "video.deleted", "video", new_id()).event("catalog"),
            AuditAction(admin, "DROP TABLE", "video", new_id()).event("catalog"),
            AuditAction(admin, "video." + "x" * 50, "video", new_id()).event("catalog"),
            AuditAction(admin, "video.deleted", "Video 1", new_id()).event("catalog"),
            AuditAction(admin, "video.deleted", "video", "../etc").event("catalog"),
            AuditAction(admin, "video.deleted", "video", new_id(), {"title": "x" * 10_000}).event("catalog"),
            replace(sound, body=b"{}"),
            replace(sound, body=b"\xff"),
            replace(sound, body=sound.body.replace(b'"{}"', b'"[]"')),
            replace(sound, id="1"),
        ]
        for event in broken:
            with pytest.raises(MalformedEventError):
                await bus.deliver(event)
        await bus.deliver(sound)
        assert len(await self.read(auth, actor_id=admin.user_id)) == 1

    async def admin_id(self, auth: Auth) -> str:
        return str((await auth.client.get("/api/users/me", headers=await auth.bearer())).json()["id"])

    async def test_failed_login_records_account_but_not_typed_login(self, auth: Auth) -> None:
        admin_id = (await self.read(auth, action="user.registered"))[0]["target_id"]
        await auth.log_in(ADMIN, "wrong")
        await auth.log_in("hunter2hunter2", "wrong")
        unknown, known = await self.read(auth, action="login.failed")
        assert (known["actor_id"], known["target_id"]) == (None, admin_id)
        assert (unknown["actor_id"], unknown["target_id"]) == (None, None)
        assert "hunter2" not in json.dumps([known, unknown])

    async def test_reused_token_is_recorded(self, auth: Auth, clock: Clock) -> None:
        token = (await auth.log_in()).json()["refresh_token"]
        await auth.refresh(token)
        clock.advance(seconds=60)
        for _ in range(2):
            await auth.refresh(token)
        (entry,) = await self.read(auth, action="token.reused")
        assert entry["actor_id"] is None

    async def test_filtered_pages_take_two_queries(self, auth: Auth, clock: Clock) -> None:
        began = clock()
        for number in range(5):
            clock.advance(seconds=1)
            await auth.log_in(f"unknown-{number}", "wrong")
        since = (began + timedelta(seconds=2)).isoformat()
        until = (began + timedelta(seconds=4)).isoformat()
        assert len(await self.read(auth, action="login.failed", since=since, until=until)) == 2
        headers = await auth.bearer()
        with count_queries() as counted:
            answer = await auth.client.get("/api/admin/audit?action=login.failed&page_size=2&page=3", headers=headers)
        assert (len(answer.json()["items"]), answer.json()["total"], counted.count) == (1, 5, 2)
        for bad in ("since=yesterday", "since=2024-01-01T00:00:00", "actor_id=x'", "action=%00", "page=0"):
            answer = await auth.client.get(f"/api/admin/audit?{bad}", headers=headers)
            assert problem(answer) == (422, "VALIDATION_FAILED")

    async def test_entries_older_than_retention_are_removed(self, auth: Auth, database: Database, clock: Clock) -> None:
        user_id = (await auth.register("alice")).json()["id"]
        await auth.client.post(f"/api/users/{user_id}/suspend", headers=await auth.bearer())
        sweep = maintenance_of(auth, database, clock)
        clock.advance(seconds=auth.settings.access_ttl_sec)
        await sweep.once(prune=True)
        assert await kept(database) == (4, 1)
        clock.advance(seconds=60)
        await sweep.once(prune=True)
        assert await kept(database) == (4, 0)
        clock.advance(days=30)
        await sweep.once(prune=True)
        assert await kept(database) == (0, 0)

    async def test_replicas_raise_one_alert_for_a_burst(self, auth: Auth, database: Database, clock: Clock) -> None:
        for number in range(BURST - 1):
            await auth.log_in("unknown", "wrong", auth.browser(f"192.0.2.{number}"))
        audits = [audit_of(Database(database.url.render_as_string(False)), clock) for _ in range(4)]
        assert not await audits[0].detect_failure_burst()
        await auth.log_in("unknown", "wrong", auth.browser("192.0.2.0"))
        raised = await asyncio.gather(*(audit.detect_failure_burst() for audit in audits for _ in range(3)))
        assert sum(raised) == 1
        (event,) = await auth.events("auth.failures_burst")
        assert (event["failures"], event["window_sec"]) == (str(BURST), "300")
        assert event["addresses"][0] == "192.0.2.0: 2"

        clock.advance(seconds=BURST_WINDOW.total_seconds() + 1)
        assert not await audits[0].detect_failure_burst(), "they are over"
        for _ in range(BURST):
            await auth.log_in("unknown", "wrong", auth.browser("192.0.2.9"))
        assert await audits[0].detect_failure_burst()
        assert len(await auth.events("auth.failures_burst")) == 2
        for audit in audits:
            await audit._database.close()

    async def test_alert_is_posted_until_delivered(self, auth: Auth, database: Database, clock: Clock) -> None:
        async with a_hook() as hook:
            hook.status = 500
            rounds = maintenance_of(auth, database, clock, Webhook(hook.url("/secret?token=s3cret")))
            for _ in range(BURST):
                await auth.log_in("unknown", "wrong")
            with capture_logs() as logs:
                await rounds.once()
                await rounds.once()
                assert len(hook.requests) == 1, "the next attempt has its time"
                clock.advance(seconds=FIRST_RETRY.total_seconds())
                hook.status = 204
                await rounds.once()
                clock.advance(seconds=600)
                await rounds.once()
            assert "s3cret" not in repr(logs)
        assert len(hook.requests) == 2
        line, headers, body = hook.requests[-1]
        assert line == "POST /secret?token=s3cret HTTP/1.1"
        assert headers["content-type"] == "application/json"
        alert = json.loads(body)
        assert (alert["kind"], alert["failures"], alert["window_sec"]) == ("auth.failures_burst", BURST, 300)
        assert f"{BURST} logins failed" in alert["text"]

    async def test_undelivered_alert_is_given_up(self, auth: Auth, database: Database, clock: Clock) -> None:
        async with a_hook() as hook:
            hook.status = 503
            rounds = maintenance_of(auth, database, clock, Webhook(hook.url()))
            for _ in range(BURST):
                await auth.log_in("unknown", "wrong")
            for _ in range(2 * DELIVERIES):
                await rounds.once()
                async with database.read() as session:
                    (alert,) = (await session.scalars(select(Alert))).all()
                if alert.next_attempt_at is None:
                    break
                clock.now = alert.next_attempt_at
        assert len(hook.requests) == DELIVERIES


def listening(auth: Auth, database: Database) -> FakeBus:
    """A bus that auth's worker listens to."""
    bus = FakeBus()
    subscribe(bus, database, Audit(database, retention_days=365, burst=100, clock=utc_now))
    return bus


async def kept(database: Database) -> tuple[int, int]:
    """How many entries and changes of accounts there are."""
    async with database.read() as session:
        entries = (await session.scalars(select(AuditEntry))).all()
        return len(entries), len((await session.scalars(select(AccountChange))).all())


class TestSqlite(AuditContract):
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgres(AuditContract):
    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url
