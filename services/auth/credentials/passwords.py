"""Password hashes: bcrypt over an HMAC-SHA-256 of the password.

bcrypt uses the first 72 bytes only, which is 24 Hangul syllables; the HMAC makes every byte of a longer password count,
and carries the pepper.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import bcrypt

from kit.processors import available_processors

_COMMON = Path(__file__).parent / "common_passwords.txt"


@lru_cache(maxsize=1)
def common_passwords() -> frozenset[str]:
    """Return common passwords, in the form that `domain.login_key` gives.

    These are the passwords of eight characters and more among the twenty thousand most common that Royce Williams took
    from Troy Hunt's Pwned Passwords, as Django (BSD licence) publishes them.
    """
    return frozenset(_COMMON.read_text().splitlines())


class PasswordHasher:
    """Hash and verify passwords in a thread pool: bcrypt releases the interpreter lock.

    Args:
        cost: bcrypt's work factor, a power of two.
        pepper: a secret outside the database, or empty.
        workers: processes that hash, of which this is one.
    """

    def __init__(self, cost: int, pepper: str, workers: int = 1) -> None:
        self._cost = cost
        self._key = pepper.encode() or b"marquee"
        # One processor stays free for event loops: a burst of logins must not hold up all other requests. With as many
        # workers as processors that can't be, because each needs a thread.
        threads = max(1, (available_processors() - 1) // workers)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="bcrypt")
        self._decoy = bcrypt.hashpw(self._digest("no such account"), bcrypt.gensalt(cost))

    async def hash(self, password: str) -> str:
        """Return the hash to store for a password."""
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, bcrypt.hashpw, self._digest(password), bcrypt.gensalt(self._cost)
        )
        return (await work).decode()

    async def verify(self, password: str, stored: str | None) -> bool:
        """Return whether a password matches a stored hash; without a hash it takes as long and returns False."""
        target = stored.encode() if stored is not None else self._decoy
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._check, self._digest(password), target)
        return await work and stored is not None

    def is_cheap(self, stored: str) -> bool:
        """Return whether a stored hash has a lower work factor than new hashes get."""
        return _cost_of(stored) < self._cost

    def _check(self, digest: bytes, target: bytes) -> bool:
        if bcrypt.checkpw(digest, target):
            return True
        # An account whose hash is from before the cost was raised must not be refused faster than an unknown one.
        # Each cost is twice the work of the one below, so these hashes add up to the missing work.
        for cost in range(_cost_of(target.decode()), self._cost):
            bcrypt.hashpw(digest, bcrypt.gensalt(cost))
        return False

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _digest(self, password: str) -> bytes:
        text = unicodedata.normalize("NFKC", password).encode()
        return base64.b64encode(hmac.digest(self._key, text, hashlib.sha256))


def _cost_of(stored: str) -> int:
    """Return the work factor in a hash: `$2b$12$…`."""
    return int(stored.split("$")[2])
