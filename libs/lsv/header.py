"""Encode, authenticate and decode the header of a pack."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Self

from lsv import layout
from lsv.errors import (
    HeaderAuthenticationError,
    MalformedHeaderError,
    TruncatedPackError,
    WrongKeyError,
)
from lsv.keys import MAC_BYTES, ContentKey, PackKeys
from lsv.layout import Entry, PackDescription, Prelude

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Header:
    """An authentic header: what the pack holds, and where its records are."""

    description: PackDescription
    entries: Sequence[Entry]
    """One a record; the first is the initialisation segment, the others are chunks in order of time."""
    records_start: int
    """Length of the header, optional properties included that this library does not know."""
    offsets: Sequence[int] = field(init=False, repr=False)
    """Where each record begins, from the start of the pack, and the length of the pack."""
    starts: Sequence[int] = field(init=False, repr=False)
    """When each record begins, in ticks from the start, and when the last one ends."""

    def __post_init__(self) -> None:
        """Add up lengths and durations."""
        lengths, durations = (e.length for e in self.entries), (e.duration for e in self.entries)
        object.__setattr__(self, "offsets", tuple(accumulate(lengths, initial=self.records_start)))
        object.__setattr__(self, "starts", tuple(accumulate(durations, initial=0)))

    @property
    def pack_bytes(self) -> int:
        """Return the length of the whole pack."""
        return self.offsets[-1]

    @property
    def duration(self) -> int:
        """Return the duration in ticks."""
        return self.starts[-1]

    def record_at(self, time: int) -> int:
        """Return the index of the last record that begins with a key frame at or before a time in ticks.

        Decoding begins there. Times before the start count as the start, and times behind the end as the end.
        """
        index = bisect.bisect_right(self.starts, max(time, 0), 1, len(self.entries)) - 1
        index = max(index, 1)
        while not self.entries[index].begins_with_key_frame:
            index -= 1
        return index

    def check(self) -> Self:
        """Return this header.

        Raises:
            MalformedHeaderError: it breaks a rule of the format.
        """
        check_description(self.description)
        if len(self.entries) < 2:  # noqa: PLR2004 (initialisation segment and a chunk)
            raise MalformedHeaderError("a pack has an initialisation segment and at least one chunk")
        if len(self.entries) * layout.ENTRY_BYTES > layout.MAX_INDEX_BYTES:
            raise MalformedHeaderError("a pack has too many records")
        for index, entry in enumerate(self.entries):
            check_entry(index, entry)
        return self


def check_description(description: PackDescription) -> None:
    """Raise MalformedHeaderError for a number or a MIME type that the format doesn't allow."""
    mime_type = description.mime_type
    if not (0 < len(mime_type) <= layout.MAX_MIME_BYTES and mime_type.isascii() and mime_type.isprintable()):
        raise MalformedHeaderError("a MIME type is 1 to 255 printable ASCII characters")
    if not 0 < description.timescale <= layout.U32_MAX:
        raise MalformedHeaderError("a timescale is a positive number of 32 bits")
    if not 0 <= description.content_version <= layout.U64_MAX:
        raise MalformedHeaderError("a content version is a number of 64 bits")


def check_entry(index: int, entry: Entry) -> None:
    """Raise MalformedHeaderError if the index may not describe its record `index` like this."""
    if not layout.OVERHEAD_BYTES < entry.length <= layout.MAX_RECORD_BYTES:
        raise MalformedHeaderError(f"record {index} is empty or too long")
    if index == 0 and (entry.duration or entry.begins_with_key_frame):
        raise MalformedHeaderError("the initialisation segment has neither duration nor pictures")
    if index > 0 and not 0 < entry.duration <= layout.U32_MAX:
        raise MalformedHeaderError(f"the duration of record {index} is no positive number of 32 bits")
    if index == 1 and not entry.begins_with_key_frame:
        raise MalformedHeaderError("the first chunk does not begin with a key frame")


def header_bytes(description: PackDescription, record_count: int) -> int:
    """Return the length of a header that `encode` gives."""
    properties = len(layout.encode_properties(description.mime_type))
    return layout.PRELUDE_BYTES + properties + record_count * layout.ENTRY_BYTES + MAC_BYTES


def encode(description: PackDescription, entries: Sequence[Entry], keys: PackKeys) -> bytes:
    """Return the bytes of a header: prelude, properties, index and MAC."""
    properties = layout.encode_properties(description.mime_type)
    index = b"".join(map(layout.encode_entry, entries))
    prelude = Prelude(
        content_id=description.content_id,
        content_version=description.content_version,
        pack_id=description.pack_id,
        key_id=description.key_id,
        timescale=description.timescale,
        record_count=len(entries),
        properties_bytes=len(properties),
        index_bytes=len(index),
    )
    authenticated = prelude.encode() + properties + index
    return authenticated + keys.mac(authenticated)


def decode(raw: bytes, key: ContentKey) -> tuple[Header, PackKeys]:
    """Authenticate and read a header, and return it with the keys of the pack. Bytes behind it are ignored.

    Call `Header.check` before trusting that it keeps the rules of the format.

    Raises:
        NotAPackError, UnsupportedPackError, TruncatedPackError: see `Prelude.decode`.
        WrongKeyError: it names another content key.
        HeaderAuthenticationError: it was changed, or the key is wrong.
        MalformedHeaderError: it is authentic, but breaks a rule of the format.
    """
    prelude = Prelude.decode(raw[: layout.PRELUDE_BYTES])
    end = prelude.authenticated_bytes
    if len(raw) < end + MAC_BYTES:
        raise TruncatedPackError("the pack ends within its header")
    if prelude.key_id != key.id:
        raise WrongKeyError(f"the pack needs content key {prelude.key_id}")
    keys = PackKeys(key, prelude.pack_id)
    if not keys.is_authentic(raw[:end], raw[end : end + MAC_BYTES]):
        raise HeaderAuthenticationError("the header is not authentic")
    return _parse(prelude, raw[layout.PRELUDE_BYTES : end]), keys


def _parse(prelude: Prelude, rest: bytes) -> Header:
    """Return a header from its authentic bytes."""
    description = PackDescription(
        content_id=prelude.content_id,
        content_version=prelude.content_version,
        pack_id=prelude.pack_id,
        key_id=prelude.key_id,
        mime_type=layout.decode_properties(rest[: prelude.properties_bytes]),
        timescale=prelude.timescale,
    )
    entries = layout.decode_entries(rest[prelude.properties_bytes :])
    if len(entries) != prelude.record_count:
        raise MalformedHeaderError("the index has another number of records than the prelude says")
    return Header(description, entries, prelude.authenticated_bytes + MAC_BYTES)
