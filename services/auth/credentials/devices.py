"""Recognise devices that have logged in before by a cookie, so that failures of others don't lock the device out.

The cookie is `<device>.<proof>.<proof>…`: a random id, and for each account that logged in on the device an HMAC of id
and login. It grants no access: an attempt from a known device is counted by that device instead of by address and
account.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator, Sequence

from services.auth.domain import login_key

MAX_LOGINS = 8
"""Accounts that one cookie can hold; the account that logged in longest ago is dropped first."""
_ID_BYTES = 16
_PART = r"[A-Za-z0-9_-]{22}"
_COOKIE = re.compile(rf"{_PART}(?:\.{_PART}){{1,{MAX_LOGINS}}}")


def known_device(key: bytes, cookies: Sequence[str], login_id: str) -> str | None:
    """Return the id of the device if this login succeeded on it before; None otherwise.

    Args:
        key: the installation's device key.
        cookies: values of the device cookie, as the client sent them.
        login_id: the login that is tried, as typed.
    """
    for device, proofs in _read(cookies):
        if any(hmac.compare_digest(proof, _proof(key, device, login_id)) for proof in proofs):
            return device
    return None


def remember_login(key: bytes, cookies: Sequence[str], login_id: str) -> str:
    """Return the value of the device cookie after a login; it keeps the proofs of the device's other accounts."""
    device, proofs = next(_read(cookies), (secrets.token_urlsafe(_ID_BYTES), []))
    proof = _proof(key, device, login_id)
    return ".".join([device, proof, *(other for other in proofs if other != proof)][: MAX_LOGINS + 1])


def _read(cookies: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    for cookie in filter(_COOKIE.fullmatch, cookies):
        device, *proofs = cookie.split(".")
        yield device, proofs


def _proof(key: bytes, device: str, login_id: str) -> str:
    mac = hmac.digest(key, f"{device} {login_key(login_id)}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(mac[:_ID_BYTES]).rstrip(b"=").decode()
