"""Tickets: what a media URL carries instead of a login (`?ticket=`), because a `<video>` can send no headers.

A ticket is signed (HMAC-SHA-256, RFC 2104) and says all that a replica must know to serve it, so that none has to ask:
whose it is, which session and video it belongs to, and what the caller may see. It is good for one asset of one video,
the source unless it names another one, until it ends or its session does, whichever comes first; that the session goes
on is for `sessions` to say. No I/O.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kit.auth.tokens import Caller
from kit.cache import LruCache
from kit.errors import ApiError, ErrorCode
from kit.ids import is_id
from services.stream.domain import AssetKind, Source

TICKET_SEC = 4 * 3600.0
"""Life of a ticket. It must outlast a film whose player never swaps its URL; its session's end is what ends it."""
MAX_TICKET_CHARS = 1000
MIN_KEY_BYTES = 32
MAX_DEVICE_CHARS = 30
"""Of a device's name, as much as a ticket carries."""
_CAPACITY = 10_000
_REVOKED = 100_000
_UNCHANGED = (0, 0.0)
_SHAPE = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})")
_PURPOSE = b"marquee play ticket, 1\n"
"""Comes first in what is signed, so that no other use of the key makes something that looks like a ticket."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket says."""

    session_id: str
    video_id: str
    caller: Caller
    """As logged in when the session began; `login_session_id` in it is the login session."""
    started_ms: int
    """When the session got its slot, in milliseconds since 1970."""
    source: str
    """The tier that its bytes came from then."""
    device_name: str
    """Its first `MAX_DEVICE_CHARS` characters."""
    expires_at: int
    """Seconds since 1970."""
    asset_id: str = ""
    """The asset that it opens; empty for the video's source, whichever that is."""

    def opens(self, source: Source) -> bool:
        """Return whether it is good for the bytes of an asset."""
        if self.video_id != source.video_id:
            return False
        return self.asset_id == source.asset_id if self.asset_id else source.kind == AssetKind.SOURCE


class Tickets:
    """Issues and verifies tickets; remembers those verified, so that a known one costs a look into a dictionary.

    Args:
        key: the secret that all replicas share.
        clock: seconds since 1970.

    Raises:
        ValueError: the key is too short.
    """

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"a ticket key has at least {MIN_KEY_BYTES} bytes")
        self._key = key
        self._clock = clock
        self._seen = LruCache[bytes, Ticket](_CAPACITY)
        self._revoked = LruCache[str, bool](_REVOKED)
        self._changed = LruCache[str, tuple[int, float]](_REVOKED)
        """The version of accounts that changed, and when this process learned of it."""

    def issue(self, ticket: Ticket) -> str:
        """Return the text of a ticket: URL-safe, about 300 characters."""
        payload = _encoded(json.dumps(_packed(ticket), separators=(",", ":"), ensure_ascii=False).encode())
        return (payload + b"." + self._signature(payload)).decode()

    def expiry(self) -> int:
        """Return when a ticket that is issued now expires, in seconds since 1970."""
        return int(self._clock() + TICKET_SEC)

    def get_cached(self, text: bytes) -> Ticket | None:
        """Return a ticket that was verified before and has not expired; None means a cache miss."""
        ticket = self._seen.peek(text)
        return ticket if ticket is not None and self._clock() < ticket.expires_at else None

    def verify(self, text: str) -> Ticket:
        """Return what a ticket says.

        Raises:
            ApiError: AUTH_INVALID_TOKEN when it was not issued with this key or its login was ended;
                AUTH_TOKEN_EXPIRED.
        """
        given = text.encode("utf-8", "surrogateescape")
        ticket = self._seen.get(given) or self._checked(given)
        if ticket.expires_at <= self._clock():
            raise ApiError(ErrorCode.AUTH_TOKEN_EXPIRED)
        return self._seen.put(given, ticket)

    def revoke(self, login_session_id: str) -> None:
        """Refuse, from now on, the tickets that were issued to a login session (the `sid` of its tokens)."""
        if not login_session_id or login_session_id in self._revoked:
            return
        self._revoked.put(login_session_id, True)
        self._seen.drop_if(lambda _, ticket: ticket.caller.login_session_id == login_session_id)

    def revoke_account(self, user_id: str, version: int) -> None:
        """Refuse, from now on, the tickets that an account has got so far: they have the rights of then.

        Args:
            user_id: the account.
            version: of its rights; one that is known already changes nothing.
        """
        if version <= (self._changed.peek(user_id) or _UNCHANGED)[0]:
            return
        self._changed.put(user_id, (version, self._clock()))
        self._seen.drop_if(lambda _, ticket: ticket.caller.user_id == user_id)

    def _checked(self, given: bytes) -> Ticket:
        shaped = _SHAPE.fullmatch(given) if len(given) <= MAX_TICKET_CHARS else None
        # The signature is compared as text: of several ways to write the same bytes in base64, one is right.
        if shaped is None or not hmac.compare_digest(shaped[2], self._signature(shaped[1])):
            raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        try:
            ticket = _unpacked(json.loads(_decoded(shaped[1])))
        except (AttributeError, ValueError, TypeError) as error:  # signed by another release
            raise ApiError(ErrorCode.AUTH_INVALID_TOKEN) from error
        caller = ticket.caller
        changed_at = (self._changed.peek(caller.user_id) or _UNCHANGED)[1]
        if caller.login_session_id in self._revoked or ticket.expires_at - TICKET_SEC < int(changed_at):
            raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        return ticket

    def _signature(self, payload: bytes) -> bytes:
        return _encoded(hmac.digest(self._key, _PURPOSE + payload, hashlib.sha256))


def _packed(ticket: Ticket) -> list[str | int]:
    caller = ticket.caller
    # A ticket of a source names no asset, so that replicas from before assets read it, too.
    asset = [_short(ticket.asset_id)] if ticket.asset_id else []
    return [
        _short(ticket.session_id),
        _short(ticket.video_id),
        _short(caller.user_id),
        caller.role,
        _short(caller.corporation_id),
        _short(caller.login_session_id),
        ticket.started_ms,
        ticket.expires_at,
        ticket.source,
        ticket.device_name[:MAX_DEVICE_CHARS],
        *asset,
    ]


def _unpacked(fields: Any) -> Ticket:
    session, video, user, role, corporation, login, started_ms, expires_at, source, device_name, *rest = fields
    # Without an asset it is of a source, as all were before assets.
    (asset,) = rest or ("~",)
    caller = Caller(
        user_id=_long(user),
        role=role,
        status="active",
        corporation_id=_long(corporation),
        login_session_id=_long(login),
    )
    return Ticket(
        session_id=_long(session),
        video_id=_long(video),
        caller=caller,
        started_ms=int(started_ms),
        source=str(source),
        device_name=str(device_name),
        expires_at=int(expires_at),
        asset_id=_long(asset),
    )


def _short(text: str) -> str:
    """Return a UUID in 22 characters; anything else after a mark that base64url doesn't have."""
    return _encoded(uuid.UUID(text).bytes).decode() if is_id(text) else f"~{text}"


def _long(text: str) -> str:
    return text[1:] if text.startswith("~") else str(uuid.UUID(bytes=_decoded(text.encode())))


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
