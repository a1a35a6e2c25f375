"""Signing keys and the access tokens they sign (RFC 7517, RFC 8037)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit.ids import new_id
from kit.settings import SettingsError
from kit.tokens import ALGORITHM, AUDIENCE, ISSUER, TOKEN_TYPE
from services.auth.models import User


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _new_key() -> dict[str, str]:
    private = Ed25519PrivateKey.generate()
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "alg": ALGORITHM,
        "use": "sig",
        "kid": new_id(),
        "d": _b64(private.private_bytes_raw()),
        "x": _b64(private.public_key().public_bytes_raw()),
    }


class SigningKeys:
    """The keys of one key file. The first signs; the others only still verify."""

    def __init__(self, keys: list[dict[str, str]]) -> None:
        signers = [_private(key) for key in keys]
        self._signer, self._kid = signers[0], keys[0]["kid"]
        # Nothing of the file is published but what is named here.
        self._public = [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "alg": ALGORITHM,
                "use": "sig",
                "kid": key["kid"],
                "x": _b64(signer.public_key().public_bytes_raw()),
            }
            for key, signer in zip(keys, signers, strict=True)
        ]
        self._successor_key = hmac.digest(self._signer.private_bytes_raw(), b"refresh token successor", hashlib.sha256)

    @classmethod
    def load(cls, path: Path) -> SigningKeys:
        """Reads a key file; makes one, readable by its owner only, when it is not there.

        Raises:
            SettingsError: it can't be read, or can't be made.
        """
        try:
            if not path.exists():
                _create(path)
            keys = json.loads(path.read_text())["keys"]
            return cls([{str(name): str(value) for name, value in key.items()} for key in keys])
        except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, jwt.PyJWTError) as error:
            raise SettingsError(
                f"MARQUEE_SIGNING_KEY_FILE can't be used: {path.name} is no readable set of private keys ({error})."
            ) from error

    def jwks(self) -> dict[str, Any]:
        """The public halves, as a JSON Web Key Set."""
        return {"keys": self._public}

    def jwks_json(self) -> str:
        """The same as text."""
        return json.dumps(self.jwks())

    def mint(self, user: User, session_id: str, ttl_sec: int) -> str:
        """An access token.

        Args:
            user: whom it speaks for.
            session_id: the login it belongs to.
            ttl_sec: its life in seconds.
        """
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user.id,
            "role": user.role,
            "status": user.status,
            "corporation_id": user.corporation_id,
            "sid": session_id,
            "jti": new_id(),
            "iat": now,
            "exp": now + ttl_sec,
        }
        return jwt.encode(claims, self._signer, ALGORITHM, headers={"kid": self._kid, "typ": TOKEN_TYPE})

    def successor(self, refresh_token: str) -> str:
        """The refresh token that replaces this one: always the same, but only who holds the keys can tell it."""
        return _b64(hmac.digest(self._successor_key, refresh_token.encode(), hashlib.sha256))


def _private(key: dict[str, str]) -> Ed25519PrivateKey:
    private = jwt.PyJWK(dict(key), ALGORITHM).key
    if not isinstance(private, Ed25519PrivateKey) or not key["kid"]:
        raise ValueError("each key must be a private Ed25519 key with a kid")
    return private


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own, readable by its owner only: in containers all processes have the same id.
    descriptor, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump({"keys": [_new_key()]}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        # A link fails when another replica was faster: then its keys are everybody's.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(partial)
    finally:
        Path(partial).unlink()
