"""Who sees, changes, deletes and restores what, over HTTP, with an auth that the tests hold in hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kit.auth.tokens import Caller
from kit.errors import ApiError
from kit.ids import new_id
from kit.rpc import GrpcServer, call, connect, timestamp
from kit.testing.fakes import as_user
from marquee.auth.v1 import auth_pb2, auth_pb2_grpc
from marquee.catalog.v1 import catalog_pb2
from marquee.catalog.v1.catalog_pb2_grpc import CatalogServiceStub
from services.catalog.domain import may_see, may_see_in_trash
from services.catalog.listing.criteria import Criteria
from services.catalog.listing.repository import VideoListRepository
from services.catalog.models import Video
from services.catalog.repository.videos import VideoRepository, VisibleVideoRepository
from services.catalog.service import Purge
from services.catalog.tests.support import ADMIN, Catalog

ACME, OTHER = new_id(), new_id()
CALLERS = {
    "anonymous": {},
    "stranger": as_user("stranger"),
    "owner": as_user("owner", "member", ACME),
    "colleague": as_user("colleague", "member", ACME),
    "rival": as_user("rival", "member", OTHER),
    "former": as_user("former", "member", OTHER),
    "admin": ADMIN,
}
"""`former` brought a film into ACME and is with OTHER now."""


class Auth(auth_pb2_grpc.AuthServiceServicer):
    """Answers of corporations and their plans."""

    def __init__(self) -> None:
        self.plans: dict[str, auth_pb2.Corporation] = {}

    def set(self, corporation_id: str, plan: str, expires_at: datetime | None = None) -> None:
        """Gives a corporation a plan."""
        ends = None if expires_at is None else timestamp(expires_at)
        self.plans[corporation_id] = auth_pb2.Corporation(id=corporation_id, name="x", plan=plan, plan_expires_at=ends)

    async def GetCorporations(  # noqa: N802
        self,
        request: auth_pb2.GetCorporationsRequest,
        context: Any,
    ) -> auth_pb2.GetCorporationsResponse:
        """Plans of several corporations."""
        found = [self.plans[id_] for id_ in request.ids if id_ in self.plans]
        return auth_pb2.GetCorporationsResponse(corporations=found)


@pytest.fixture
async def auth(catalog: Catalog) -> AsyncIterator[Auth]:
    """An auth with two corporations on the free plan."""
    servicer = Auth()  # type: ignore[abstract] # the rest is not asked here
    for corporation_id in (ACME, OTHER):
        servicer.set(corporation_id, "free")
    server = GrpcServer(
        "auth",
        catalog.settings.auth_address,
        [lambda server: auth_pb2_grpc.add_AuthServiceServicer_to_server(servicer, server)],
    )
    await server.start()
    yield servicer
    await server.stop(0)


async def request(catalog: Catalog, who: str, method: str, path: str, body: object = None) -> tuple[int, str]:
    """The status, and the code of an error."""
    json = body if body is not None else ({} if method == "PATCH" else None)
    answer = await catalog.http.request(method, path, headers=CALLERS[who], json=json)
    is_error = answer.status_code >= 400
    return answer.status_code, answer.json()["error"]["code"] if is_error else ""


class Library:
    """A film of each kind."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.films: dict[str, str] = {}

    async def stock(self) -> dict[str, str]:
        """Brings them in."""
        for name in ("platform", "platform-trashed"):
            self.films[name] = await self._film(name, "owner", None, ready=True)
        self.films["platform-unready"] = await self._film("platform-unready", "owner", None, ready=False)
        for name in ("acme", "acme-trashed"):
            self.films[name] = await self._film(name, "owner", ACME, ready=True)
        self.films["acme-unready"] = await self._film("acme-unready", "owner", ACME, ready=False)
        self.films["acme-former"] = await self._film("acme-former", "former", ACME, ready=True)
        for name in self.films:
            if name.endswith("trashed"):
                assert (await request(self._catalog, "admin", "DELETE", f"/api/videos/{self.films[name]}"))[0] == 204
        return self.films

    async def _film(self, title: str, uploader: str, corporation_id: str | None, *, ready: bool) -> str:
        video_id = await (self._catalog.ready if ready else self._catalog.uploaded)(title=title)
        async with self._catalog.database.write() as transaction:
            video = await VideoRepository(transaction.session).get_locked(video_id)
            assert video is not None
            video.uploader_id, video.corporation_id = uploader, corporation_id
        return video_id


@pytest.fixture
async def films(catalog: Catalog, auth: Auth) -> dict[str, str]:
    """Ids of films, by what they are."""
    assert auth.plans
    return await Library(catalog).stock()


SEEN = {
    "anonymous": set[str](),
    "stranger": {"platform"},
    "owner": {"platform", "platform-unready", "acme", "acme-unready", "acme-former"},
    "colleague": {"platform", "acme", "acme-former"},
    "rival": {"platform"},
    "former": {"platform"},
    "admin": {"platform", "platform-unready", "acme", "acme-unready", "acme-former"},
}
TRASHED = {"owner": {"platform-trashed", "acme-trashed"}, "admin": {"platform-trashed", "acme-trashed"}}


@pytest.mark.parametrize("who", CALLERS)
async def test_everywhere_the_same_is_seen(catalog: Catalog, films: dict[str, str], who: str) -> None:
    if who == "anonymous":
        for path in ("/api/videos", "/api/trash", *(f"/api/videos/{id_}" for id_ in films.values())):
            assert await request(catalog, who, "GET", path) == (401, "AUTH_INVALID_TOKEN")
        return
    for path, expected in (
        ("/api/videos", SEEN[who]),
        ("/api/videos?query=a", SEEN[who]),
        ("/api/videos?query=acme&sort=title", {name for name in SEEN[who] if "acme" in name}),
        ("/api/trash", TRASHED.get(who, set())),
    ):
        listed = await catalog.get(path, CALLERS[who])
        assert ({item["title"] for item in listed["items"]}, listed["total"]) == (expected, len(expected)), path
    for name, video_id in films.items():
        unseen = 410 if name in TRASHED.get(who, set()) else 404
        expected_status = 200 if name in SEEN[who] else unseen
        assert (await request(catalog, who, "GET", f"/api/videos/{video_id}"))[0] == expected_status, name
        picture = await catalog.http.get(f"/api/videos/{video_id}/thumbnail", headers=CALLERS[who])
        assert picture.status_code == (404 if "unready" in name else expected_status), name


CHANGED = {
    "stranger": {"platform": 403, "acme": 404, "platform-trashed": 404, "acme-trashed": 404},
    "owner": {"platform": 200, "acme": 200, "platform-trashed": 404, "acme-trashed": 404},
    "colleague": {"platform": 403, "acme": 403, "platform-trashed": 404, "acme-trashed": 404},
    "rival": {"platform": 403, "acme": 404, "platform-trashed": 404, "acme-trashed": 404},
    "former": {"platform": 403, "acme-former": 404},
    "admin": {"platform": 200, "acme": 200, "platform-trashed": 404, "acme-trashed": 404},
    "anonymous": {"platform": 401, "acme": 401, "platform-trashed": 401},
}


@pytest.mark.parametrize("who", CHANGED)
async def test_who_describes_and_deletes_what(catalog: Catalog, films: dict[str, str], who: str) -> None:
    for name, status in CHANGED[who].items():
        path = f"/api/videos/{films[name]}"
        assert (await request(catalog, who, "PATCH", path))[0] == status, name
        assert (await request(catalog, who, "DELETE", path))[0] == (204 if status == 200 else status), name


RESTORED = {
    "free": {
        "anonymous": (401, 401), "stranger": (404, 404), "colleague": (404, 404), "rival": (404, 404),
        "former": (404, 404), "owner": (403, 402), "admin": (200, 200),
    },
    "paid": {
        "anonymous": (401, 401), "stranger": (404, 404), "colleague": (404, 404), "rival": (404, 404),
        "former": (404, 404), "owner": (403, 200), "admin": (200, 200),
    },
}  # fmt: skip
"""Statuses for the film of the platform and the one of ACME."""


@pytest.mark.parametrize("plan", RESTORED)
async def test_who_restores_what(catalog: Catalog, films: dict[str, str], auth: Auth, plan: str) -> None:
    auth.set(ACME, plan)
    # The one who may restore comes last: the film is out of the trash then.
    for who, (platform, acme) in RESTORED[plan].items():
        for name, status in (("platform-trashed", platform), ("acme-trashed", acme)):
            if plan == "paid" and (who, name) == ("admin", "acme-trashed"):
                await request(catalog, "admin", "DELETE", f"/api/videos/{films[name]}")
            answer = await request(catalog, who, "POST", f"/api/videos/{films[name]}/restore")
            assert answer[0] == status, (who, name)
            assert (answer[1] == "PLAN_REQUIRED") == (status == 402)
    for name in ("platform-trashed", "acme-trashed"):
        assert (await request(catalog, "colleague", "GET", f"/api/videos/{films[name]}"))[0] == 200
    assert (await catalog.get("/api/trash"))["total"] == 0


async def test_a_plan_that_is_over_restores_nothing_even_before_the_sweep(
    catalog: Catalog, films: dict[str, str], auth: Auth
) -> None:
    path = f"/api/videos/{films['acme-trashed']}/restore"
    auth.set(ACME, "paid", datetime.now(UTC) - timedelta(seconds=1))
    assert await request(catalog, "owner", "POST", path) == (402, "PLAN_REQUIRED")
    auth.set(ACME, "paid", datetime.now(UTC) + timedelta(hours=1))
    assert (await request(catalog, "owner", "POST", path))[0] == 200


async def test_a_corporation_that_is_gone_has_no_plan(catalog: Catalog, films: dict[str, str], auth: Auth) -> None:
    del auth.plans[ACME]
    path = f"/api/videos/{films['acme-trashed']}/restore"
    assert await request(catalog, "owner", "POST", path) == (402, "PLAN_REQUIRED")


async def test_without_auth_only_administrators_restore(catalog: Catalog) -> None:
    films = await Library(catalog).stock()
    path = f"/api/videos/{films['acme-trashed']}/restore"
    assert await request(catalog, "owner", "POST", path) == (503, "SERVICE_UNAVAILABLE")
    assert await request(catalog, "rival", "POST", path) == (404, "CONTENT_NOT_FOUND")
    assert (await catalog.get("/api/trash"))["total"] == 2
    assert (await request(catalog, "admin", "POST", path))[0] == 200


async def test_a_film_in_the_trash_has_no_source(catalog: Catalog, films: dict[str, str]) -> None:
    channel = connect(catalog.settings.grpc_bind)
    stub = CatalogServiceStub(channel)
    with pytest.raises(ApiError) as refused:
        await call(stub.GetSource, catalog_pb2.GetSourceRequest(video_id=films["acme-trashed"]))
    assert refused.value.code == "CONTENT_NOT_FOUND"
    answer = await call(stub.GetVideos, catalog_pb2.GetVideosRequest(ids=list(films.values())))
    assert {video.title for video in answer.videos} == {name for name in films if "trashed" not in name}
    assert {video.title: video.corporation_id for video in answer.videos}["acme"] == ACME
    await channel.close()


async def test_changes_are_published_with_rising_versions(catalog: Catalog, auth: Auth) -> None:
    assert auth.plans
    video_id = await catalog.ready()
    path = f"/api/videos/{video_id}"
    await request(catalog, "admin", "PATCH", path, {"title": "New"})
    await request(catalog, "admin", "DELETE", path)
    await request(catalog, "admin", "DELETE", path)
    await request(catalog, "admin", "POST", f"{path}/restore")
    await request(catalog, "admin", "POST", f"{path}/restore")
    types = ["video.uploaded", "video.ready", "video.updated", "video.deleted", "video.restored"]
    assert await catalog.event_types(5) == types
    versions = [event.version for event in catalog.about_videos()]
    assert versions == sorted(set(versions))
    assert {event.subject for event in catalog.bus.published} == {video_id}


async def test_one_of_many_restores_publishes_an_event(catalog: Catalog, films: dict[str, str], auth: Auth) -> None:
    auth.set(ACME, "paid")
    path = f"/api/videos/{films['acme-trashed']}/restore"
    answers = await asyncio.gather(*(request(catalog, "owner", "POST", path) for _ in range(10)))
    assert sorted(status for status, _ in answers) == [200, *[404] * 9]


async def test_labels_are_cleaned_and_the_rest_stays(catalog: Catalog) -> None:
    video_id = await catalog.ready(title="Old", description="d", tags="a")
    path = f"/api/videos/{video_id}"
    before = await catalog.get(path)
    await request(catalog, "admin", "PATCH", path, {"title": " Night\tTrain\n", "tags": [" b ", "b", ""]})
    after = await catalog.get(path)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"title", "tags", "updated_at"}
    assert (after["title"], after["tags"]) == ("Night Train", ["b"])
    for bad in (
        {"title": ""}, {"title": "\u200b"}, {"title": "x" * 201}, {"tags": ["x" * 41]}, {"tags": ["x"] * 21},
        {"corporation_id": "acme"}, {"status": "ready"},
    ):  # fmt: skip
        assert (await request(catalog, "admin", "PATCH", path, bad))[1] == "VALIDATION_FAILED", bad


async def test_only_administrators_move_films_and_only_to_corporations(
    catalog: Catalog, films: dict[str, str], auth: Auth
) -> None:
    assert auth.plans
    path = f"/api/videos/{films['platform']}"
    assert (await request(catalog, "owner", "PATCH", path, {"corporation_id": ACME}))[1] == "AUTH_FORBIDDEN"
    assert (await request(catalog, "owner", "PATCH", path, {"corporation_id": None}))[1] == "AUTH_FORBIDDEN"
    assert (await request(catalog, "admin", "PATCH", path, {"corporation_id": new_id()}))[1] == "VALIDATION_FAILED"
    assert (await request(catalog, "rival", "GET", path))[0] == 200
    assert (await request(catalog, "admin", "PATCH", path, {"corporation_id": ACME}))[0] == 200
    assert (await request(catalog, "rival", "GET", path))[0] == 404
    assert (await request(catalog, "admin", "PATCH", path, {"corporation_id": None}))[0] == 200
    assert (await request(catalog, "rival", "GET", path))[0] == 200


class TestMembersUpload:
    """Where members may bring films in."""

    @pytest.fixture
    def uploads(self) -> str:
        return "members"

    @pytest.mark.parametrize(
        ("who", "wanted", "home"),
        [
            ("owner", None, ACME),
            ("owner", ACME, ACME),
            ("owner", OTHER, 403),
            ("stranger", None, None),
            ("stranger", ACME, 403),
            ("admin", None, None),
            ("admin", OTHER, OTHER),
        ],
    )
    async def test_into_their_own_corporation(
        self, catalog: Catalog, who: str, wanted: str | None, home: str | int | None
    ) -> None:
        answer = await catalog.upload({} if wanted is None else {"corporation_id": wanted}, headers=CALLERS[who])
        if isinstance(home, int):
            assert answer.status_code == home
            assert not list(catalog.media.glob("videos/*"))
        else:
            assert (answer.status_code, answer.json()["corporation_id"]) == (201, home)


async def test_sql_and_the_rules_agree(catalog: Catalog, films: dict[str, str]) -> None:
    viewers = [
        Caller(user, role, "active", corporation)
        for user in ("owner", "former", "else")
        for role in ("member", "admin")
        for corporation in ("", ACME, OTHER)
    ]
    async with catalog.database.read() as session:
        rows: list[Video] = [
            video for id_ in films.values() if (video := await VideoRepository(session).get(id_)) is not None
        ]
        assert len(rows) == len(films)
        for caller in viewers:
            visible = VisibleVideoRepository(session, caller)
            listed, total = await VideoListRepository(session, caller).page(Criteria(), sort="title", limit=100)
            assert {video.id for video in listed} == {video.id for video in rows if may_see(caller, video)}
            trashed, in_trash = await visible.trash(offset=0, limit=100)
            assert {video.id for video in trashed} == {video.id for video in rows if may_see_in_trash(caller, video)}
            assert (total, in_trash) == (len(listed), len(trashed))
            for video in rows:
                assert (await visible.get(video.id) is not None) == may_see(caller, video)
                assert (await visible.trashed(video.id) is not None) == may_see_in_trash(caller, video)


async def test_what_was_long_in_the_trash_is_removed_for_good(
    catalog: Catalog, films: dict[str, str], tmp_path: Path
) -> None:
    purge = Purge(catalog.database, catalog.store, timedelta(days=30))
    assert await purge.once(datetime.now(UTC) - timedelta(days=30)) == 0
    gone = [films["platform-trashed"], films["acme-trashed"]]
    assert await purge.once(datetime.now(UTC) + timedelta(seconds=1)) == 2
    assert await purge.once(datetime.now(UTC) + timedelta(seconds=1)) == 0
    assert {path.name for path in (tmp_path / "media" / "videos").iterdir()} == set(films.values()) - set(gone)
    for video_id in gone:
        assert await request(catalog, "admin", "GET", f"/api/videos/{video_id}") == (404, "CONTENT_NOT_FOUND")
        assert await request(catalog, "admin", "POST", f"/api/videos/{video_id}/restore") == (404, "CONTENT_NOT_FOUND")
    async with asyncio.timeout(60):
        while catalog.bus.types().count("video.purged") < 2:
            await catalog.bus.something_published()
    assert {event.subject for event in catalog.bus.published if event.type == "video.purged"} == set(gone)
