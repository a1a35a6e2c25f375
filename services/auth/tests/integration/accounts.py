"""A member, and the password that they change to."""

from __future__ import annotations

from typing import Any

from services.auth.tests.support import Auth

NEW = "staple the battery"


async def member(auth: Auth, login: str = "alice", **more: Any) -> str:
    """The id of a new member."""
    return str((await auth.register(login, **more)).json()["id"])
