"""Corporations and plans: over HTTP and gRPC, and what time does to them, on both databases."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.db.database import Database
from kit.ids import new_id
from kit.rpc import call
from kit.testing.queries import count_queries
from marquee.auth.v1 import auth_pb2
from marquee.auth.v1.auth_pb2_grpc import AuthServiceStub
from services.auth.domain import effective_plan
from services.auth.service import Corporations
from services.auth.tests.support import PASSWORD, Auth, Clock, basic, problem

if TYPE_CHECKING:
    from marquee.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub

NOW = datetime(2024, 1, 1, tzinfo=UTC)
MONTH = 30 * 86_400


class CorporationsContract:
    """Holds for every database; subclasses say where theirs is."""

    @pytest.fixture
    async def headers(self, auth: Auth) -> dict[str, str]:
        """The administrator's."""
        return await auth.bearer()

    @pytest.fixture
    async def corporation_id(self, auth: Auth, headers: dict[str, str]) -> str:
        """A corporation on the free plan."""
        return str((await self.make(auth, headers)).json()["id"])

    @pytest.fixture
    async def stub(self, auth: Auth) -> AuthServiceAsyncStub:
        return AuthServiceStub(await auth.channel())

    async def make(self, auth: Auth, headers: dict[str, str], name: str = "Acme") -> httpx.Response:
        return await auth.client.post("/api/corporations", json={"name": name}, headers=headers)

    async def put_plan(
        self, auth: Auth, headers: dict[str, str], corporation_id: str, plan: str, expires_at: datetime | None = None
    ) -> httpx.Response:
        body = {"plan": plan, "expires_at": expires_at.isoformat() if expires_at else None}
        return await auth.client.put(f"/api/corporations/{corporation_id}/plan", json=body, headers=headers)

    async def test_corporation_is_created_found_renamed_and_deleted(self, auth: Auth, headers: dict[str, str]) -> None:
        made = await self.make(auth, headers, " 주식회사 마키 ")
        body = made.json()
        assert (made.status_code, body["name"], body["plan"], body["plan_expires_at"]) == (
            201,
            "주식회사 마키",
            "free",
            None,
        )
        path = f"/api/corporations/{body['id']}"
        assert (await auth.client.get(path, headers=headers)).json() == body
        found = (await auth.client.get("/api/corporations?query=마키", headers=headers)).json()
        assert (found["items"], found["total"]) == ([body], 1)
        renamed = await auth.client.patch(path, json={"name": "Marquee"}, headers=headers)
        assert renamed.json()["name"] == "Marquee"
        assert (await auth.client.get("/api/corporations?query=마키", headers=headers)).json()["total"] == 0
        assert (await auth.client.delete(path, headers=headers)).status_code == 204
        assert [event["corporation_id"] for event in await auth.events("corporation.deleted")] == [body["id"]]
        for answer in (
            await auth.client.get(path, headers=headers),
            await auth.client.patch(path, json={"name": "x"}, headers=headers),
            await auth.client.delete(path, headers=headers),
            await self.put_plan(auth, headers, body["id"], "paid"),
            await self.put_plan(auth, headers, "nothing", "paid"),
        ):
            assert problem(answer) == (404, "CONTENT_NOT_FOUND")

    async def test_name_is_unique(self, auth: Auth, headers: dict[str, str], corporation_id: str) -> None:
        assert problem(await self.make(auth, headers, "ACME")) == (409, "CORPORATION_NAME_TAKEN")
        other = (await self.make(auth, headers, "Other")).json()["id"]
        answer = await auth.client.patch(f"/api/corporations/{other}", json={"name": "acme"}, headers=headers)
        assert problem(answer) == (409, "CORPORATION_NAME_TAKEN")
        same = await auth.client.patch(f"/api/corporations/{corporation_id}", json={"name": "ACME"}, headers=headers)
        assert same.json()["name"] == "ACME"

    @pytest.mark.parametrize("name", ["", " ", "a\0b", "x" * 101, "ﷺ" * 30])
    async def test_invalid_name_is_refused(self, auth: Auth, headers: dict[str, str], name: str) -> None:
        assert problem(await self.make(auth, headers, name)) == (422, "VALIDATION_FAILED")

    async def test_list_takes_two_queries(self, auth: Auth, headers: dict[str, str]) -> None:
        for number in range(3):
            await self.make(auth, headers, f"c-{number}")
        with count_queries() as counted:
            body = (await auth.client.get("/api/corporations?page_size=2", headers=headers)).json()
        assert ([item["name"] for item in body["items"]], body["total"]) == (["c-2", "c-1"], 3)
        assert counted.count == 2

    async def test_members_see_only_their_own_corporation(
        self, auth: Auth, headers: dict[str, str], corporation_id: str
    ) -> None:
        body = {"login_id": "bob", "password": PASSWORD, "display_name": "Bob", "corporation_id": corporation_id}
        assert (await auth.client.post("/api/users", json=body, headers=headers)).status_code == 201
        other = (await self.make(auth, headers, "Other")).json()["id"]
        bob = basic("bob", PASSWORD)
        assert (await auth.client.get(f"/api/corporations/{corporation_id}", headers=bob)).json()["name"] == "Acme"
        for hidden in (other, new_id(), "x"):
            answer = await auth.client.get(f"/api/corporations/{hidden}", headers=bob)
            assert problem(answer) == (404, "CONTENT_NOT_FOUND")
        listed = await auth.client.get(f"/api/users?corporation_id={corporation_id}", headers=headers)
        assert [item["login_id"] for item in listed.json()["items"]] == ["bob"]
        answer = await auth.client.delete(f"/api/corporations/{corporation_id}", headers=headers)
        assert problem(answer) == (409, "CORPORATION_NOT_EMPTY")

    async def test_joining_during_deletion_leaves_no_corporation(self, auth: Auth, headers: dict[str, str]) -> None:
        user_id = (await auth.register("alice")).json()["id"]
        for number in range(6):
            corporation_id = (await self.make(auth, headers, f"c-{number}")).json()["id"]
            joined, deleted = await asyncio.gather(
                auth.browser().patch(f"/api/users/{user_id}", json={"corporation_id": corporation_id}, headers=headers),
                auth.browser().delete(f"/api/corporations/{corporation_id}", headers=headers),
            )
            assert joined.is_success != deleted.is_success
            assert {joined.status_code, deleted.status_code} in ({200, 409}, {422, 204})

    async def test_moved_member_gets_tokens_with_new_corporation(
        self, auth: Auth, headers: dict[str, str], corporation_id: str, stub: AuthServiceAsyncStub
    ) -> None:
        user_id = (await auth.register("alice")).json()["id"]
        tokens = (await auth.log_in("alice")).json()
        for changes, moved in ((corporation_id, True), (corporation_id, False), (None, True)):
            before = self.claims(tokens["access_token"])
            answer = await auth.client.patch(f"/api/users/{user_id}", json={"corporation_id": changes}, headers=headers)
            assert answer.json()["corporation_id"] == changes
            tokens = (await auth.refresh(tokens["refresh_token"])).json()
            after = self.claims(tokens["access_token"])
            assert (after["corporation_id"], after["ver"] - before["ver"]) == (changes, int(moved))
            accounts = (await call(stub.ListRevocations, auth_pb2.ListRevocationsRequest())).accounts
            assert [(each.user_id, each.claims_version) for each in accounts] == [(user_id, after["ver"])]
        revoked = await auth.events("auth.token_revoked")
        assert [(event["user_id"], event["claims_version"]) for event in revoked] == [(user_id, "2"), (user_id, "3")]

    @staticmethod
    def claims(token: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
        return claims

    async def test_same_plan_emits_one_event(
        self, auth: Auth, headers: dict[str, str], corporation_id: str, clock: Clock, stub: AuthServiceAsyncStub
    ) -> None:
        ends = clock() + timedelta(seconds=MONTH)
        for _ in range(2):
            answer = await self.put_plan(auth, headers, corporation_id, "paid", ends)
            assert (answer.status_code, answer.json()["plan"]) == (200, "paid")
            assert datetime.fromisoformat(answer.json()["plan_expires_at"]) == ends
        (event,) = await auth.events("corporation.plan_changed")
        assert (event["corporation_id"], event["plan"], event["version"]) == (corporation_id, "paid", 2)
        assert await self.plans(stub, corporation_id) == {corporation_id: "paid"}
        assert (await self.put_plan(auth, headers, corporation_id, "free")).json()["plan_expires_at"] is None
        assert await self.plans(stub, corporation_id, new_id(), "x") == {corporation_id: "free"}

    async def plans(self, stub: AuthServiceAsyncStub, *ids: str) -> dict[str, str]:
        answer = await call(stub.GetCorporations, auth_pb2.GetCorporationsRequest(ids=ids))
        return {each.id: each.plan for each in answer.corporations}

    async def test_invalid_end_of_plan_is_refused(
        self, auth: Auth, headers: dict[str, str], corporation_id: str, clock: Clock
    ) -> None:
        for plan, ends in (("paid", clock()), ("free", clock() + timedelta(days=1)), ("gold", None)):
            answer = await self.put_plan(auth, headers, corporation_id, plan, ends)
            assert problem(answer) == (422, "VALIDATION_FAILED")
        body = {"plan": "paid", "expires_at": "2999-01-01T00:00:00"}
        answer = await auth.client.put(f"/api/corporations/{corporation_id}/plan", json=body, headers=headers)
        assert problem(answer) == (422, "VALIDATION_FAILED"), "without a time zone it could mean two moments"

    async def test_overdue_plan_is_free_at_once_and_emits_one_event(
        self, auth: Auth, headers: dict[str, str], database: Database, clock: Clock, stub: AuthServiceAsyncStub
    ) -> None:
        ends = clock() + timedelta(seconds=MONTH)
        ids = [(await self.make(auth, headers, f"c-{number}")).json()["id"] for number in range(5)]
        for corporation_id in ids[:4]:
            await self.put_plan(auth, headers, corporation_id, "paid", ends if corporation_id != ids[3] else None)
        clock.advance(seconds=MONTH)
        assert await self.plans(stub, *ids) == dict(zip(ids, ["free", "free", "free", "paid", "free"], strict=True))
        replicas = [Corporations(Database(database.url.render_as_string(False)), clock) for _ in range(4)]
        numbers = await asyncio.gather(*(replica.expire_plans() for replica in replicas for _ in range(3)))
        for replica in replicas:
            await replica._database.close()
        assert sum(numbers) == 3
        events = await auth.events("corporation.plan_expired")
        assert sorted(event["corporation_id"] for event in events) == sorted(ids[:3])
        assert {event["version"] for event in events} == {3}
        body = (await auth.client.get(f"/api/corporations/{ids[0]}", headers=headers)).json()
        assert (body["plan"], body["plan_expires_at"]) == ("free", None)

    async def test_renewal_concurrent_with_expiry_is_kept(
        self, auth: Auth, headers: dict[str, str], corporation_id: str, database: Database, clock: Clock
    ) -> None:
        corporations = Corporations(database, clock)
        for number in range(5):
            await self.put_plan(auth, headers, corporation_id, "paid", clock() + timedelta(seconds=1))
            clock.advance(seconds=1)
            renewed = clock() + timedelta(seconds=MONTH)
            await asyncio.gather(
                corporations.expire_plans(), self.put_plan(auth, headers, corporation_id, "paid", renewed)
            )
            body = (await auth.client.get(f"/api/corporations/{corporation_id}", headers=headers)).json()
            assert (body["plan"], number) == ("paid", number)

    async def test_too_many_ids_are_refused(self, stub: AuthServiceAsyncStub) -> None:
        request = auth_pb2.GetCorporationsRequest(ids=[new_id() for _ in range(101)])
        with pytest.raises(Exception, match="VALIDATION_FAILED"):
            await call(stub.GetCorporations, request)


class TestSqlite(CorporationsContract):
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgres(CorporationsContract):
    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url


@given(plan=st.sampled_from(["free", "paid"]), ends_in=st.none() | st.integers(-5, 5), at=st.integers(-5, 5))
@settings(suppress_health_check=list(HealthCheck))
def test_plan_is_paid_until_exactly_its_end(plan: str, ends_in: int | None, at: int) -> None:
    ends = None if ends_in is None else NOW + timedelta(seconds=ends_in)
    is_paid = plan == "paid" and (ends_in is None or at < ends_in)
    assert (effective_plan(plan, ends, NOW + timedelta(seconds=at)) == "paid") == is_paid
