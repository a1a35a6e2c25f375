"""Find out how a subtitle file is encoded: Unicode where that is certain, Korean by syllables, others by statistics."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from charset_normalizer import from_bytes

CERTAIN: Final = 0.9
"""Below this confidence a person should look at the text."""
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_EXAMINED_BYTES: Final = 256 << 10
"""Statistics need no more; a longer file costs no more time."""
_OTHERS: Final = ["cp1252", "shift_jis", "gb18030", "big5", "cp1251", "cp1250", "cp1253", "cp1254", "cp1256"]
_KOREAN_SHARE: Final = 0.8
_KOREAN_CONFIDENCE: Final = 0.95
_GUESS_CONFIDENCE: Final = 0.6
_LATIN_CONFIDENCE: Final = 0.7
_LATIN_SHARE: Final = 0.4
_NUL_SHARE: Final = 0.2
_BEFORE_KS_X_1001: Final = 0xA0
_WESTERN_MARKS: Final = frozenset("¡¿«»°·…€£§©®™\xa0\u2013\u2014\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file's text."""

    text: str
    encoding: str
    """Its IANA name where it has one."""
    confidence: float
    """0 to 1; 1 when it is certain, or was named."""


def decode(data: bytes, encoding: str = "") -> Decoded:
    """Return the text of a subtitle file.

    Args:
        data: its bytes.
        encoding: what a person says it is; empty to find out.

    Raises:
        ValueError: `encoding` is unknown, or the bytes are not in it.
    """
    if encoding:
        return Decoded(_strict(data, _codec(encoding)), _public(encoding), 1.0)
    for bom, codec in _BOMS:
        if data.startswith(bom):
            return Decoded(data.decode(codec, "replace"), _public(codec), 1.0)
    if codec := _utf16_without_bom(data):
        return Decoded(data.decode(codec, "replace"), _public(codec), CERTAIN)
    try:
        return Decoded(data.decode("utf-8"), "utf-8", 1.0)
    except UnicodeDecodeError:
        return _guess(data)


def _guess(data: bytes) -> Decoded:
    try:
        text = data.decode("cp949")
    except UnicodeDecodeError:
        pass
    else:
        if _is_korean(text):
            return Decoded(text, "cp949", _KOREAN_CONFIDENCE)
    high = sum(byte >= 0x80 for byte in data[:_EXAMINED_BYTES])  # noqa: PLR2004 - what ASCII lacks
    if high < _LATIN_SHARE * min(len(data), _EXAMINED_BYTES):
        # Few letters outside ASCII: an alphabet like Latin, and most often that of Western Europe.
        if _is_western(data.decode("cp1252", "replace")):
            return Decoded(data.decode("cp1252", "replace"), _public("cp1252"), _LATIN_CONFIDENCE)
        best = from_bytes(data[:_EXAMINED_BYTES], cp_isolation=["cp1250", "cp1254", "cp1252"]).best()
        codec = best.encoding if best else "cp1252"
        return Decoded(data.decode(codec, "replace"), _public(codec), _GUESS_CONFIDENCE)
    best = from_bytes(data[:_EXAMINED_BYTES], cp_isolation=[*_OTHERS, "cp949"]).best()
    codec = best.encoding if best else "latin-1"
    confidence = min(_GUESS_CONFIDENCE, max(0.0, 1 - best.chaos)) if best else 0.1
    return Decoded(data.decode(codec, "replace"), _public(codec), confidence)


def _is_korean(text: str) -> bool:
    """Return whether nearly all letters outside ASCII are syllables in daily use (KS X 1001).

    Other languages read as CP949 become Chinese characters, or syllables that exist in its extension only.
    """
    foreign = [letter for letter in text if letter > "\x7f"]
    common = sum("가" <= letter <= "힣" and _is_common(letter) for letter in foreign)
    return common >= _KOREAN_SHARE * len(foreign)


@lru_cache(maxsize=16_384)
def _is_common(syllable: str) -> bool:
    # Of CP949, the bytes above 0xA0 are KS X 1001, and those below its extension.
    return min(syllable.encode("cp949")) > _BEFORE_KS_X_1001


def _is_western(text: str) -> bool:
    return all(letter <= "\x7f" or letter.isalpha() or letter in _WESTERN_MARKS for letter in text)


def _utf16_without_bom(data: bytes) -> str:
    """Return the byte order of text that has many NUL bytes in one of two places; empty if it has not."""
    sample = data[: _EXAMINED_BYTES & ~1]
    half = len(sample) // 2
    if not half:
        return ""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > _NUL_SHARE * half and not even:
        return "utf-16-le"
    return "utf-16-be" if even > _NUL_SHARE * half and not odd else ""


def _codec(encoding: str) -> str:
    try:
        info = codecs.lookup(encoding)
    except (LookupError, ValueError) as error:
        raise ValueError("there is no such encoding") from error
    if not info._is_text_encoding:  # noqa: SLF001 - `bytes.decode` asks the same, with an error of another kind
        raise ValueError("there is no such encoding")
    return info.name


def _strict(data: bytes, codec: str) -> str:
    try:
        return data.decode("utf-8-sig" if codec == "utf-8" else codec)
    except (UnicodeError, ValueError) as error:
        raise ValueError("the file is not in this encoding") from error


def _public(codec: str) -> str:
    name = codecs.lookup(codec).name
    return {"utf-8-sig": "utf-8", "cp1252": "windows-1252", "iso8859-1": "iso-8859-1"}.get(name, name)
