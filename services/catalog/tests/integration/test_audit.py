"""What administrators do to videos is recorded for the audit log, in the transaction of the act."""

from __future__ import annotations

import json

import httpx
import pytest
from sqlalchemy import select

from kit.audit import ADMIN_ACTED
from kit.events.outbox import outbox
from kit.testing.fakes import as_user
from services.catalog.service import editing
from services.catalog.tests.support import ADMIN, Catalog

ADDRESS = "192.0.2.7"


def caller(catalog: Catalog, headers: dict[str, str]) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(catalog.service.app, client=(ADDRESS, 50_000), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://catalog", headers=headers)


async def test_who_did_what_to_which_video_from_where(catalog: Catalog) -> None:
    video_id = await catalog.ready(title="Old")
    path = f"/api/videos/{video_id}"
    async with caller(catalog, ADMIN) as admin:
        for method, target, body in (
            ("PATCH", path, {"title": "New", "description": "", "corporation_id": None}),
            ("DELETE", path, None),
            ("POST", f"{path}/restore", None),
            ("POST", "/api/videos/process", None),
        ):
            answer = await admin.request(method, target, json=body)
            assert answer.is_success, answer.text
    acts = await catalog.acts(4)
    assert {(act.actor_id, act.address, act.subject_type) for act in acts} == {("root", ADDRESS, "video")}
    assert [(act.action, act.subject_id, json.loads(act.details)) for act in acts] == [
        ("video.changed", video_id, {"title": "New", "changed": ["title"], "corporation_id": None}),
        ("video.deleted", video_id, {"title": "New"}),
        ("video.restored", video_id, {"title": "New"}),
        ("video.process_requested", "", {"videos": 1}),
    ]
    times = [act.occurred_at.ToDatetime() for act in acts]
    assert times == sorted(times)


@pytest.mark.parametrize("uploads", ["members"])
async def test_what_members_do_with_their_own_is_no_act(catalog: Catalog, uploads: str) -> None:
    ann = as_user("ann")
    video_id = (await catalog.upload(headers=ann)).json()["id"]
    async with caller(catalog, ann) as member:
        assert (await member.patch(f"/api/videos/{video_id}", json={"title": "New"})).status_code == 200
        assert (await member.delete(f"/api/videos/{video_id}")).status_code == 204
    assert await recorded(catalog) == []


async def test_action_and_audit_event_are_committed_together_or_not_at_all(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    video_id = await catalog.ready()
    async with caller(catalog, ADMIN) as admin:
        assert (await admin.post(f"/api/videos/{video_id}/restore")).status_code == 404

        def fail(*_: object, **__: object) -> None:
            raise ConnectionError

        with monkeypatch.context() as broken:
            broken.setattr(editing, "audit_event", fail)
            assert (await admin.delete(f"/api/videos/{video_id}")).status_code == 500
        assert (await admin.get(f"/api/videos/{video_id}")).status_code == 200
    assert await recorded(catalog) == []


async def recorded(catalog: Catalog) -> list[str]:
    """Return the actions of all acts in the outbox, published or not."""
    async with catalog.database.read() as session:
        bodies = await session.scalars(select(outbox.c.body).where(outbox.c.type == ADMIN_ACTED))
        return [json.loads(body)["action"] for body in bodies]
