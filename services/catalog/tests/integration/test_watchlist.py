"""Watchlists over HTTP, on every database."""

from __future__ import annotations

from kit.ids import new_id
from kit.testing.fakes import as_user, event_of
from marquee.events.v1 import user_pb2
from services.catalog.tests.support import ADMIN, Catalog

CORPORATION = new_id()
MINE = "/api/users/me/watchlist"


async def listed(catalog: Catalog, headers: dict[str, str]) -> list[str]:
    body = await catalog.get(MINE, headers)
    assert body["total"] == len(body["items"])
    assert all(each["video"]["id"] == each["video_id"] for each in body["items"])
    return [each["video_id"] for each in body["items"]]


async def test_shows_what_was_added_last_first(catalog: Catalog) -> None:
    user, other = as_user(new_id()), as_user(new_id())
    one, two = await catalog.ready(), await catalog.ready()
    for video_id in (one, two, one):
        assert (await catalog.http.put(f"{MINE}/{video_id}", headers=user)).status_code == 204
    assert await listed(catalog, user) == [two, one]
    assert await listed(catalog, other) == []
    assert (await catalog.get(f"{MINE}/{one}", user))["video_id"] == one
    assert (await catalog.http.get(f"{MINE}/{one}", headers=other)).status_code == 204
    for _ in range(2):
        assert (await catalog.http.delete(f"{MINE}/{one}", headers=user)).status_code == 204
    assert await listed(catalog, user) == [two]


async def test_neither_shows_nor_counts_what_its_user_may_no_longer_see(catalog: Catalog) -> None:
    user_id = new_id()
    inside, outside = as_user(user_id, "member", CORPORATION), as_user(user_id)
    private, trashed = await catalog.ready(corporation_id=CORPORATION), await catalog.ready()
    assert (await catalog.http.put(f"{MINE}/{private}", headers=outside)).status_code == 404
    for video_id in (private, trashed):
        assert (await catalog.http.put(f"{MINE}/{video_id}", headers=inside)).status_code == 204
    await catalog.http.delete(f"/api/videos/{trashed}", headers=ADMIN)
    assert await listed(catalog, inside) == [private]
    assert await listed(catalog, outside) == []
    assert (await catalog.http.get(f"{MINE}/{private}", headers=outside)).status_code == 204
    await catalog.http.post(f"/api/videos/{trashed}/restore", headers=ADMIN)
    assert await listed(catalog, inside) == [trashed, private]


async def test_is_erased_with_its_user_for_good(catalog: Catalog) -> None:
    user_id, staying = new_id(), as_user(new_id())
    user, video_id = as_user(user_id), await catalog.ready()
    for headers in (user, staying):
        await catalog.http.put(f"{MINE}/{video_id}", headers=headers)
    deleted = event_of("user.deleted", user_pb2.UserDeleted(user_id=user_id))
    for _ in range(2):
        await catalog.bus.deliver(deleted)
    assert await listed(catalog, user) == []
    assert await listed(catalog, staying) == [video_id]
    assert (await catalog.http.put(f"{MINE}/{video_id}", headers=user)).status_code == 401
