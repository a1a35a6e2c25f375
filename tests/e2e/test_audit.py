"""What administrators do with any service is in the one audit log, once, soon after."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from tests.e2e.client import Client, new_member
from tests.stacks.base import Stack, wait_for

ACTIONS = {"video.changed", "stream.stopped", "points.adjusted", "video.deleted", "video.restored"}


def test_actions_with_every_service_are_audited_once(stack: Stack, admin: Client, film: Path) -> None:
    member = new_member(stack, f"audited-{uuid.uuid4().hex[:8]}")
    member_id, video_id = member.user["id"], admin.upload(film)
    admin.await_status(video_id, "ready")
    session = member.http.post("/api/play-sessions", json={"video_id": video_id})
    assert session.status_code == 201, session.text
    session_id = session.json()["session_id"]

    for method, path, body in (
        ("PATCH", f"/api/videos/{video_id}", {"title": "Audited"}),
        ("DELETE", f"/api/admin/streams/{session_id}", None),
        ("POST", f"/api/admin/points/{member_id}/adjustments", {"points": 5, "reason": "a prize"}),
        ("DELETE", f"/api/videos/{video_id}", None),
        ("POST", f"/api/videos/{video_id}/restore", None),
    ):
        answer = admin.http.request(method, path, json=body)
        assert answer.is_success, answer.text

    subjects = {video_id, session_id, member_id}

    def entries() -> list[dict[str, Any]]:
        found = admin.http.get("/api/admin/audit", params={"actor_id": admin.user["id"], "page_size": 100})
        assert found.status_code == 200, found.text
        return [each for each in found.json()["items"] if each["target_id"] in subjects and each["action"] in ACTIONS]

    wait_for(lambda: {each["action"] for each in entries()} == ACTIONS, 60, "the acts in the audit log")
    newest_first = [each["action"] for each in entries()]
    assert newest_first == [
        "video.restored",
        "video.deleted",
        "points.adjusted",
        "stream.stopped",
        "video.changed",
    ]
    by_action = {each["action"]: each for each in entries()}
    assert all(each["client_address"] for each in by_action.values())
    assert by_action["stream.stopped"]["details"] == {"user_id": member_id, "video_id": video_id}
    assert by_action["points.adjusted"]["details"]["reason"] == "a prize"

    # A deleted account is erased there, too.
    assert member.http.delete("/api/users/me").status_code == 204
    adjusted = next(each for each in entries() if each["action"] == "points.adjusted")
    assert adjusted["details"] == {}
    member.close()
