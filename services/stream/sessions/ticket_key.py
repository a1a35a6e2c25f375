"""The file with the secret that signs tickets. Redis does not hold it, so that tickets outlive Redis's data."""

from __future__ import annotations

from pathlib import Path

from kit.settings import SettingsError
from services.stream.secret_files import read_or_create
from services.stream.sessions.tickets import MIN_KEY_BYTES


def load(path: Path) -> bytes:
    """Read the key: base64url of 32 bytes or more. Create one, readable by its owner only, when it is missing.

    Raises:
        SettingsError: it can't be read or created.
    """
    key = read_or_create(path, "MARQUEE_TICKET_KEY_FILE")
    if len(key) < MIN_KEY_BYTES:
        raise SettingsError(f"MARQUEE_TICKET_KEY_FILE can't be used: the key has less than {MIN_KEY_BYTES} bytes.")
    return key
