"""The master keys of an installation, from its settings."""

from __future__ import annotations

from kit.settings import SettingsError
from lsv import MasterKeys
from services.stream.secret_files import KEY_BYTES, decode_key, read_or_create
from services.stream.settings import ProtectionSettings

FILE = "MARQUEE_LSV_MASTER_KEY_FILE"


def load_master_keys(settings: ProtectionSettings) -> MasterKeys | None:
    """Return the key that wraps and those before it; None when the settings name none.

    The file is made when it is not there.

    Raises:
        SettingsError: the file can't be read or created, or holds something else.
    """
    previous = [decode_key(text) for text in settings.previous_master_keys()]
    if settings.lsv_master_key is not None:
        return MasterKeys(decode_key(settings.lsv_master_key.get_secret_value()), previous)
    if settings.lsv_master_key_file is None:
        return None
    key = read_or_create(settings.lsv_master_key_file, FILE)
    if len(key) != KEY_BYTES:
        raise SettingsError(f"{FILE} can't be used: it must hold base64 of {KEY_BYTES} bytes.")
    return MasterKeys(key, previous)
