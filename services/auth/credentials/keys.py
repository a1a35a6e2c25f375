"""Signing keys and the access tokens they sign (RFC 7517, RFC 8037, RFC 9068).

The key file is a JSON Web Key Set that all replicas share. Each key has a time when it begins to sign (`nbf`, seconds
since the epoch, 0 when absent); of the keys whose time has come the newest signs, and all verify. A key that a rotation
adds begins to sign only after `LEAD_SEC`: by then every replica has read the file and publishes the key, so that a
verifier finds the key of every token. A key that no longer signs stays for as long as a token that it signed can live.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit.auth.tokens import ALGORITHM, AUDIENCE, ISSUER, MAX_KID_CHARS, TOKEN_TYPE
from kit.ids import new_id
from kit.settings import SettingsError
from services.auth.models import User

log = structlog.get_logger()

LEAD_SEC = 300
"""Seconds from when a key is published until it signs: longer than the slowest replica takes to read it. Kubernetes
alone may take a minute and a half to bring a changed secret to every node."""
KEEP_SEC = 86_400 + 3_600
"""Seconds that a key verifies after another one signs: the longest life of a token, and an hour of clock skew."""
RELOAD_SEC = 5.0
MAX_KEYS = 32


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _new_key(signs_from: int = 0) -> dict[str, Any]:
    private = Ed25519PrivateKey.generate()
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "alg": ALGORITHM,
        "use": "sig",
        "kid": new_id(),
        "d": _b64(private.private_bytes_raw()),
        "x": _b64(private.public_key().public_bytes_raw()),
        "nbf": signs_from,
    }


@dataclass(frozen=True, slots=True)
class _Signer:
    kid: str
    private: Ed25519PrivateKey
    signs_from: int
    successor_key: bytes


class SigningKeys:
    """The keys of a key file at the time when it was read."""

    def __init__(self, keys: Sequence[dict[str, Any]]) -> None:
        if not 1 <= len(keys) <= MAX_KEYS or len({key["kid"] for key in keys}) < len(keys):
            raise ValueError(f"there must be 1 to {MAX_KEYS} keys, each with a kid of its own")
        # The sort is stable: of keys that begin at the same time, the first one signs.
        self._signers = sorted((_signer(key) for key in keys), key=lambda signer: signer.signs_from, reverse=True)
        # Only the fields named here are published.
        self._public = [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "alg": ALGORITHM,
                "use": "sig",
                "kid": signer.kid,
                "x": _b64(signer.private.public_key().public_bytes_raw()),
            }
            for signer in self._signers
        ]

    @classmethod
    def load(cls, path: Path) -> SigningKeys:
        """Read a key file; if it is missing, create one that only its owner can read.

        Raises:
            SettingsError: the file can't be read or created.
        """
        try:
            if not path.exists():
                _create(path)
            return cls(_read(path))
        except _UNUSABLE as error:
            raise SettingsError(
                f"MARQUEE_SIGNING_KEY_FILE can't be used: {path.name} is no readable set of private keys ({error})."
            ) from error

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JSON Web Key Set."""
        return {"keys": self._public}

    def jwks_json(self) -> str:
        """Return the public keys as the text of a JSON Web Key Set."""
        return json.dumps(self.jwks())

    def mint(self, user: User, login_session_id: str, ttl_sec: int) -> str:
        """Return a signed access token.

        Args:
            user: the account that it authenticates.
            login_session_id: the login session that it belongs to.
            ttl_sec: its lifetime in seconds.
        """
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user.id,
            "role": user.role,
            "status": user.status,
            "corporation_id": user.corporation_id,
            "ver": user.claims_version,
            "sid": login_session_id,
            "jti": new_id(),
            "iat": now,
            "exp": now + ttl_sec,
        }
        signer = self._in_use()[0]
        return jwt.encode(claims, signer.private, ALGORITHM, headers={"kid": signer.kid, "typ": TOKEN_TYPE})

    def successors(self, refresh_token: str) -> list[str]:
        """Return the refresh tokens that may have replaced this one. They are deterministic, but need the private keys.

        The first is derived from the key that signs now, the others from earlier keys: a refresh may be answered a
        second time after a rotation.
        """
        return [
            _b64(hmac.digest(signer.successor_key, refresh_token.encode(), hashlib.sha256)) for signer in self._in_use()
        ]

    def _in_use(self) -> list[_Signer]:
        """Return the keys whose time has come, the signing one first; if there is none, the earliest key."""
        now = time.time()
        return [signer for signer in self._signers if signer.signs_from <= now] or self._signers[-1:]


class KeyRing:
    """Hold the keys of a file that a rotation may change while the service runs.

    Args:
        path: the key file; created if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.current = SigningKeys.load(path)
        self._read_as: tuple[int, int, int] | None = None

    async def watch(self) -> None:
        """Read the file whenever it changes, until cancelled. An unusable file leaves the keys as they are."""
        while True:
            await asyncio.sleep(RELOAD_SEC)
            await asyncio.to_thread(self.reload_if_changed)

    def reload_if_changed(self) -> None:
        """Read the file if it has changed."""
        try:
            identity = _identity(self._path)
            if identity == self._read_as:
                return
            self.current = SigningKeys(_read(self._path))
            self._read_as = identity
        except _UNUSABLE as error:
            log.error("signing_keys_unusable", reason=repr(error))
        else:
            log.info("signing_keys_read", kids=[key["kid"] for key in self.current.jwks()["keys"]])


@dataclass(frozen=True, slots=True)
class Rotation:
    """The result of a rotation."""

    kid: str
    """Id of the new key."""
    signs_from: int
    """Seconds since the epoch."""
    removed: list[str]
    """Ids of the keys that no longer verify."""


def rotate(path: Path, *, compromised: bool = False) -> Rotation:
    """Add a key that signs in `LEAD_SEC` to a key file, and remove the keys that no valid token needs.

    Running services read the changed file by themselves. Users stay logged in.

    Args:
        path: the key file.
        compromised: the old keys were leaked: the new one signs at once and the others are removed. Access tokens of
            the old keys are refused within seconds; refresh tokens stay valid, as they don't depend on keys.

    Raises:
        SettingsError: the file is missing, unusable, or can't be written.
    """
    now = int(time.time())
    try:
        with _exclusive_lock(path):
            keys = _read(path)
            SigningKeys(keys)
            new = _new_key(now if compromised else now + LEAD_SEC)
            kept = [] if compromised else _still_needed(keys, now)
            if len(kept) >= MAX_KEYS:
                raise ValueError(f"it has {MAX_KEYS} keys that are still in use")
            _write(path, [new, *kept])
    except _UNUSABLE as error:
        raise SettingsError(f"{path} can't be rotated ({error}).") from error
    removed = [key["kid"] for key in keys if key not in kept]
    return Rotation(new["kid"], new["nbf"], removed)


def _still_needed(keys: Sequence[dict[str, Any]], now: int) -> list[dict[str, Any]]:
    """Return the keys that sign, will sign or signed recently: a key signs until the next one begins."""
    begins = sorted(key.get("nbf", 0) for key in keys)

    def is_needed(key: dict[str, Any]) -> bool:
        later = [begin for begin in begins if begin > key.get("nbf", 0)]
        return not later or later[0] > now - KEEP_SEC

    return [key for key in keys if is_needed(key)]


_UNUSABLE = (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, jwt.PyJWTError)


def _read(path: Path) -> list[dict[str, Any]]:
    keys = json.loads(path.read_text())["keys"]
    return [dict(key.items()) for key in keys]


def _identity(path: Path) -> tuple[int, int, int]:
    file_stat = path.stat()
    return file_stat.st_ino, file_stat.st_mtime_ns, file_stat.st_size


def _signer(key: dict[str, Any]) -> _Signer:
    kid, signs_from = key["kid"], key.get("nbf", 0)
    texts = {name: str(value) for name, value in key.items() if name != "nbf"}
    private = jwt.PyJWK(texts, ALGORITHM).key
    if not isinstance(private, Ed25519PrivateKey) or not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_CHARS:
        raise ValueError("each key must be a private Ed25519 key with a kid")
    if type(signs_from) is not int:
        raise ValueError("nbf must be seconds since the epoch")
    successor_key = hmac.digest(private.private_bytes_raw(), b"refresh token successor", hashlib.sha256)
    return _Signer(kid, private, signs_from, successor_key)


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary_key_file(path, [_new_key()]) as partial, contextlib.suppress(FileExistsError):
        # The link fails if another replica was faster: then all replicas use the keys of that one.
        path.hardlink_to(partial)


def _write(path: Path, keys: Sequence[dict[str, Any]]) -> None:
    file_stat = path.stat()
    with _temporary_key_file(path, keys) as partial:
        # Keep owner and mode: the service often runs as another user than the one who rotates.
        if os.geteuid() == 0:
            os.chown(partial, file_stat.st_uid, file_stat.st_gid)
        partial.chmod(stat.S_IMODE(file_stat.st_mode))
        partial.replace(path)


@contextlib.contextmanager
def _temporary_key_file(path: Path, keys: Sequence[dict[str, Any]]) -> Iterator[Path]:
    """Write keys to a temporary file beside the key file, flushed to disk; delete it afterwards unless renamed."""
    # A random name, readable by its owner only: in containers all processes have the same process id.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump({"keys": list(keys)}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        yield partial
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _exclusive_lock(path: Path) -> Iterator[None]:
    """Hold a lock on the folder, so that concurrent rotations happen one after the other."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
