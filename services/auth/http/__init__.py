"""HTTP API of auth: translates requests into calls of use cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter

from services.auth.http import audit, corporations, login, login_sessions, users
from services.auth.http.cookies import DEVICE_COOKIE, REFRESH_COOKIE, REFRESH_PATH
from services.auth.service import Accounts, Administration, Audit, Corporations, Installation, Logins

__all__ = ["DEVICE_COOKIE", "REFRESH_COOKIE", "REFRESH_PATH", "UseCases", "build_routers"]


@dataclass(frozen=True, slots=True)
class UseCases:
    """The use cases that the routes call."""

    accounts: Accounts
    logins: Logins
    administration: Administration
    corporations: Corporations
    audit: Audit
    installation: Installation


def build_routers(
    use_cases: UseCases,
    *,
    registration: Literal["open", "approval", "closed"],
    uploads: Literal["admin", "members"],
) -> dict[str, APIRouter]:
    """Return the routes of auth, by tag."""
    return {
        "auth": login.build_router(use_cases.accounts, use_cases.logins, use_cases.installation, registration, uploads),
        "login sessions": login_sessions.build_router(use_cases.logins),
        "users": users.build_router(use_cases.accounts, use_cases.administration, uploads),
        "corporations": corporations.build_router(use_cases.corporations),
        "audit": audit.build_router(use_cases.audit),
    }
