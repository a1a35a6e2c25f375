"""Rules about accounts. No I/O."""

from __future__ import annotations

import unicodedata
from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Role = Literal["admin", "member"]
Status = Literal["pending", "active", "suspended"]
Plan = Literal["free", "paid"]

MIN_PASSWORD_CHARS = 8
MAX_PASSWORD_BYTES = 1024
MAX_LOGIN_CHARS = 64
MAX_NAME_CHARS = 100

REUSE_GRACE = timedelta(seconds=10)
"""For this long, a client that did not receive the response to its refresh may try again with the same token."""


def login_key(login_id: str) -> str:
    """Return the form in which logins are compared: case and Unicode composition do not distinguish accounts."""
    folded = unicodedata.normalize("NFKC", login_id).casefold()
    # Case folding may leave letters that compose further.
    return unicodedata.normalize("NFKC", folded).strip()


def login_problem(login_id: str) -> str | None:
    """Return what is wrong with a login, or None."""
    if len(login_id) > MAX_LOGIN_CHARS or not 1 <= len(login_key(login_id)) <= MAX_LOGIN_CHARS:
        return f"must have 1 to {MAX_LOGIN_CHARS} characters"
    if ":" in login_id:
        return "must not contain a colon: Basic credentials end the login there"
    if any(unicodedata.category(letter).startswith("C") for letter in login_id):
        return "must not contain control characters"
    return None


def name_problem(display_name: str) -> str | None:
    """Return what is wrong with a display name, or None. Joiners are allowed: emoji are made with them."""
    if not 1 <= len(display_name) <= MAX_NAME_CHARS:
        return f"must have 1 to {MAX_NAME_CHARS} characters"
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in display_name):
        return "must not contain control characters"
    return None


def searchable(*texts: str) -> str:
    """Return texts, or a query, in the form that searches compare: without case and Unicode composition."""
    return "\n".join(login_key(text) for text in texts)


def password_problem(password: str, login_id: str, common: Container[str]) -> str | None:
    """Return what is wrong with a new password, or None: length and guessability count, composition does not.

    NIST SP 800-63B, 5.1.1.2; OWASP ASVS 2.1.

    Args:
        password: as typed.
        login_id: the account's login, which attackers would try first.
        common: common passwords, in the form that `login_key` gives.
    """
    if len(password) < MIN_PASSWORD_CHARS:
        return f"must have at least {MIN_PASSWORD_CHARS} characters"
    if len(password.encode(errors="surrogatepass")) > MAX_PASSWORD_BYTES:
        return f"must have at most {MAX_PASSWORD_BYTES} bytes"
    if any(unicodedata.category(letter) == "Cs" for letter in password):
        return "must be text"
    guess = login_key(password)
    if guess in common or guess == login_key(login_id):
        return "is one that attackers try first"
    return None


def effective_plan(plan: str, expires_at: datetime | None, now: datetime) -> Plan:
    """Return the plan in effect at a moment: a paid one ends at its expiry, even before maintenance records that."""
    return "paid" if plan == "paid" and (expires_at is None or now < expires_at) else "free"


def initial_status(registration: Literal["open", "approval"]) -> Status:
    """Return the status of a newly registered account."""
    return "active" if registration == "open" else "pending"


@dataclass(frozen=True, slots=True)
class RefreshState:
    """The stored state of a refresh token that a client presents."""

    expires_at: datetime
    used_at: datetime | None
    family_revoked: bool
    is_latest_predecessor: bool
    """Whether the token that replaced it is still unused."""


def decide_refresh(state: RefreshState, now: datetime) -> Literal["rotate", "repeat", "expired", "reused"]:
    """Return what to do with a refresh token (OAuth 2.0 Security BCP, RFC 9700, 4.14.2).

    A token used before was stolen, or the response to it was lost. Only the immediate predecessor gets the benefit of
    the doubt, for `REUSE_GRACE`: the same successor again. A second successor would be a second login session.
    """
    if state.family_revoked:
        return "reused"
    if now >= state.expires_at:
        return "expired"
    if state.used_at is None:
        return "rotate"
    if state.is_latest_predecessor and now - state.used_at <= REUSE_GRACE:
        return "repeat"
    return "reused"
