"""The identity of this installation on its host, the same for all replicas and across restarts."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from kit.db.database import Database
from services.auth.credentials.devices import known_device, remember_login
from services.auth.repository import InstanceRepository

_NAME_BYTES = 4
_KEY_BYTES = 32


class Installation:
    """Name and device key of the installation. Call `load` before serving requests."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._name = ""
        self._device_key = b""

    @property
    def name(self) -> str:
        """Eight hexadecimal digits. Cookies are not separated by port, so their names must be (RFC 6265, 8.5)."""
        return self._name

    async def load(self) -> None:
        """Read what the first start wrote, or write it."""
        name, key = secrets.token_hex(_NAME_BYTES), secrets.token_hex(_KEY_BYTES)
        async with self._database.read() as session:
            kept = await InstanceRepository(session).get()
        if kept is None:
            async with self._database.write() as transaction:
                repository = InstanceRepository(transaction.session)
                await repository.add_if_absent(name, key)
                kept = await repository.get()
        assert kept is not None  # noqa: S101 - it was written above, by this replica or another
        self._name, self._device_key = kept.name, bytes.fromhex(kept.device_key)

    def known_device(self, cookies: Sequence[str], login_id: str) -> str | None:
        """Return the id of the device if this login succeeded on it before; None otherwise."""
        return known_device(self._device_key, cookies, login_id)

    def remember_login(self, cookies: Sequence[str], login_id: str) -> str:
        """Return the value of the device cookie after a login."""
        return remember_login(self._device_key, cookies, login_id)
