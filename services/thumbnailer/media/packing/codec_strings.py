"""Codecs of MIME types (RFC 6381), made from the configuration in a sample description.

What a browser is asked must match the tracks exactly, so it is never guessed: an unknown codec is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mp4.boxes import Box, children, need
from services.thumbnailer.media.packing.errors import NeedsTranscodingError

_VISUAL_FIELDS, _AUDIO_FIELDS = 78, 28
"""Bytes of a sample entry before the boxes in it (ISO/IEC 14496-12, 12.1.3 and 12.2.3)."""
_ES, _DECODER_CONFIG, _DECODER_SPECIFIC = 0x03, 0x04, 0x05
_MPEG_4_AUDIO: Final = 0x40
_EXTENDED_TYPE: Final = 31


def _avc(kind: str, entry: Box) -> str:
    """ISO/IEC 14496-15, annex E: profile, constraints and level."""
    config = need(children(entry.part(_VISUAL_FIELDS, len(entry.body) - _VISUAL_FIELDS)), b"avcC")
    return f"{kind}.{bytes(config.part(1, 3)).hex()}"


def _hevc(kind: str, entry: Box) -> str:
    """ISO/IEC 14496-15, annex E.3: profile, compatibility in reverse order of bits, tier and level, constraints."""
    config = need(children(entry.part(_VISUAL_FIELDS, len(entry.body) - _VISUAL_FIELDS)), b"hvcC")
    general, level = config.number(1, 1), config.number(12, 1)
    space = ("", "A", "B", "C")[general >> 6]
    compatibility = int(f"{config.number(2):032b}"[::-1], 2)
    constraints = bytes(config.part(6, 6)).rstrip(b"\0")
    tier = "H" if general & 0x20 else "L"
    parts = [f"{kind}.{space}{general & 0x1F}", f"{compatibility:X}", f"{tier}{level}"]
    return ".".join(parts + [f"{each:X}" for each in constraints])


def _av1(kind: str, entry: Box) -> str:
    """AV1 in ISOBMFF, section 5: profile, level and tier, depth."""
    config = need(children(entry.part(_VISUAL_FIELDS, len(entry.body) - _VISUAL_FIELDS)), b"av1C")
    first, second = config.number(1, 1), config.number(2, 1)
    depth = (12 if second & 0x20 else 10) if second & 0x40 else 8
    return f"{kind}.{first >> 5}.{first & 0x1F:02}{'H' if second & 0x80 else 'M'}.{depth:02}"


def _vp9(kind: str, entry: Box) -> str:
    """VP9 in ISOBMFF: profile, level, depth."""
    config = need(children(entry.part(_VISUAL_FIELDS, len(entry.body) - _VISUAL_FIELDS)), b"vpcC")
    return f"{kind}.{config.number(4, 1):02}.{config.number(5, 1):02}.{config.number(6, 1) >> 4:02}"


def _descriptor(data: memoryview, at: int, tag: int) -> tuple[int, int]:
    """Return where the body of a descriptor (ISO/IEC 14496-1, 8.3.3) begins and ends."""
    if at >= len(data) or data[at] != tag:
        raise NeedsTranscodingError("sound without a description")
    length = 0
    for place in range(at + 1, min(at + 5, len(data))):
        length = length << 7 | data[place] & 0x7F
        if not data[place] & 0x80:
            return place + 1, min(place + 1 + length, len(data))
    raise NeedsTranscodingError("sound with a damaged description")


def _mp4a(kind: str, entry: Box) -> str:
    """RFC 6381, 3.3: the object type, and for MPEG-4 audio the type of audio object (ISO/IEC 14496-3, 1.6.2.1)."""
    data = need(children(entry.part(_AUDIO_FIELDS, len(entry.body) - _AUDIO_FIELDS)), b"esds").body
    at, _ = _descriptor(data, 4, _ES)
    at, end = _descriptor(data, at + 3, _DECODER_CONFIG)
    if end - at < 13:  # noqa: PLR2004 - the fields before the specific descriptor
        raise NeedsTranscodingError("sound with a damaged description")
    object_type = data[at]
    if object_type != _MPEG_4_AUDIO:
        return f"{kind}.{object_type:02x}"
    at, end = _descriptor(data, at + 13, _DECODER_SPECIFIC)
    word = int.from_bytes(data[at : min(at + 2, end)].tobytes().ljust(2, b"\0"), "big")
    audio_type = word >> 11
    return f"{kind}.{object_type:02x}.{32 + (word >> 5 & 0x3F) if audio_type == _EXTENDED_TYPE else audio_type}"


def _plain(name: str) -> Callable[[str, Box], str]:
    return lambda _kind, _entry: name


_CODECS: Final[dict[bytes, Callable[[str, Box], str]]] = {
    b"avc1": _avc,
    b"avc3": _avc,
    b"hev1": _hevc,
    b"hvc1": _hevc,
    b"av01": _av1,
    b"vp09": _vp9,
    b"mp4a": _mp4a,
    b"Opus": _plain("opus"),
    b"fLaC": _plain("flac"),
    b"ac-3": _plain("ac-3"),
    b"ec-3": _plain("ec-3"),
}


def codec_string(entry: Box) -> str:
    """Return the codec of a sample entry, as in the parameter `codecs` of a MIME type.

    Raises:
        NeedsTranscodingError: MediaSource does not know this codec in MP4.
        UnsupportedMediaError: the description is damaged.
    """
    name = _CODECS.get(entry.kind)
    if name is None:
        raise NeedsTranscodingError(f"{entry.kind!r} is not for browsers")
    return name(entry.kind.decode(), entry)
