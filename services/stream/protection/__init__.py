"""Protected films: content keys at rest, keys for devices, licences for offline playback, watermarks.

What needs a database answers SERVICE_UNAVAILABLE where there is none.
"""

from __future__ import annotations

from kit.db.database import Database
from lsv import MasterKeys
from services.stream.protection.content_keys import ContentKeys
from services.stream.protection.device_keys import DeviceKeys
from services.stream.protection.licences import LicenceLimits, OfflineLicences
from services.stream.protection.viewers import FindNames, Viewers

__all__ = ["Protection"]


class Protection:
    """All use cases of protected films.

    Args:
        database: where keys and licences are kept; None where there is no database.
        master_keys: wrap content keys in it; None where there is none.
        find_names: display names of users.
        limits: of licences.
    """

    def __init__(
        self, database: Database | None, master_keys: MasterKeys | None, find_names: FindNames, limits: LicenceLimits
    ) -> None:
        self.content_keys = ContentKeys(database, master_keys)
        self.viewers = Viewers(self.content_keys, find_names)
        self.device_keys = DeviceKeys(self.content_keys, self.viewers)
        self.licences = OfflineLicences(self.content_keys, self.viewers, limits)
