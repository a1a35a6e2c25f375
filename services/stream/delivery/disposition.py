"""The name under which a client saves a film: `Content-Disposition` (RFC 6266). No I/O."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

MAX_NAME_BYTES = 200
"""Of UTF-8, without the extension; file systems take 255."""

_EXTENSIONS = {
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
    "video/x-m4v": ".m4v",
    "video/x-matroska": ".mkv",
}
_UNSAFE = re.compile(r'[/\\:*?"<>|%]+')
"""What separates folders, is refused by a file system, or is misread in a quoted string (RFC 6266, appendix D)."""
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
"""Names that are devices on Windows."""
_ATTR_CHARS = "!#$&+-.^_`|~"
"""Besides letters and digits, what stands for itself in an extended value (RFC 8187, section 3.2.1)."""


def attachment(title: str, content_type: str, video_id: str) -> str:
    """Return the field's value: the title as a safe file name, in ASCII and, if that is not all of it, in UTF-8.

    Args:
        title: as users gave it; it may have any characters. Empty when it is not known.
        content_type: gives the extension.
        video_id: distinguishes films whose titles have nothing in ASCII.
    """
    extension = _EXTENSIONS.get(content_type, "")
    fallback = f"video-{video_id[-12:]}"
    stem = _file_name(title, extension) or fallback
    decomposed = unicodedata.normalize("NFKD", stem)
    plain = "".join(each for each in decomposed if not unicodedata.combining(each))
    plain = _file_name(re.sub(r"[^ -~]+", "_", plain), extension)
    if not re.search(r"[A-Za-z0-9]", plain):
        plain = fallback
    value = f'attachment; filename="{plain}{extension}"'
    if plain == stem:
        return value
    return f"{value}; filename*=UTF-8''{quote(stem + extension, safe=_ATTR_CHARS)}"


def _file_name(title: str, extension: str) -> str:
    """Return a title as a file name without extension; empty when nothing is left of it."""
    # Controls, and marks that turn the direction of writing and so hide an extension.
    visible = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in title)
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", visible))
    if extension and name.lower().endswith(extension):
        name = name[: -len(extension)]
    name = " ".join(name.split()).strip(". ")
    name = name.encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore").rstrip(". ")
    return f"_{name}" if _RESERVED.fullmatch(name) else name
