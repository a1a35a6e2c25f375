"""Names of devices, for people, and keys that identify clients without a session. No I/O."""

from __future__ import annotations

import re
import unicodedata

from kit.ids import derived_id

MAX_NAME_CHARS = 80
_PROGRAMS = (
    ("VLC", r"\bVLC\b|LibVLC"),
    ("mpv", r"\bmpv\b"),
    ("Kodi", r"\bKodi\b"),
    ("ffmpeg", r"\bLavf/|\bffmpeg\b"),
    ("curl", r"^curl/"),
    ("Wget", r"^Wget"),
    ("aria2", r"^aria2/"),
    ("Edge", r"\bEdg(?:e|A|iOS)?/"),
    ("Opera", r"\bOPR/|\bOpera\b"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Firefox", r"\b(?:Firefox|FxiOS)/"),
    ("Chrome", r"\b(?:Chrome|CriOS|Chromium)/"),
    ("Safari", r"\bSafari/"),
)
"""In this order: most browsers also name others."""
_SYSTEMS = (
    ("TV", r"\bSmart-?TV\b|\bTizen\b|\bWeb0S\b|\bAppleTV\b|\bBRAVIA\b|\bGoogleTV\b"),
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Android", r"\bAndroid\b"),
    ("Windows", r"\bWindows\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Mac", r"\bMac(?:intosh| OS X)\b"),
    ("Linux", r"\bLinux\b"),
)
_PATTERNS = [[(name, re.compile(pattern, re.IGNORECASE)) for name, pattern in table] for table in (_PROGRAMS, _SYSTEMS)]


def device_name(given: str | None, user_agent: str) -> str:
    """Return a device's name: the one its viewer gave it, or one made of the `User-Agent`: "Firefox on Windows".

    Control characters, and those that change the direction of text, are removed: others see the name.
    """
    name = "".join(char for char in given or "" if not unicodedata.category(char).startswith("C")).strip()
    if name:
        return name[:MAX_NAME_CHARS]
    program, system = (next((name for name, pattern in table if pattern.search(user_agent)), "") for table in _PATTERNS)
    if program and system:
        return f"{program} on {system}"
    return program or system or "Unknown device"


def device_key(address: str, user_agent: str) -> str:
    """Return a key that distinguishes a user's clients that have no session of their own."""
    return derived_id("client", address, user_agent)
