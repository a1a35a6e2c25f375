"""Write packs with the memory of one chunk, so that an interruption loses at most the chunk being written.

A spool is a folder with two files: `records`, the sealed records one after another, and `journal`, a header without
entries followed by one index entry a record, which is appended after the record. Everything in it is encrypted or
public. The pack is made of them at the end, because its header lists every record.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final, Self

from lsv import header, layout, records
from lsv.errors import (
    ChunkRefusedError,
    LsvError,
    MalformedHeaderError,
    RecordAuthenticationError,
    SourceChangedError,
    SpoolError,
)
from lsv.header import Header
from lsv.keys import ContentKey, PackKeys
from lsv.layout import Entry, PackDescription
from lsv.reader import FileSource, PackReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType
    from uuid import UUID

RECORDS: Final = "records"
JOURNAL: Final = "journal"
_PREFIX_BYTES: Final = 8
_COPY_BYTES: Final = 2**20


class PackWriter:
    """Takes the initialisation segment, then chunks in order of time, and makes a pack of them.

    A writer that goes on after an interruption takes everything from the start again. What lies in the spool is
    decrypted and compared: an authentic record with the same plaintext stays, and from the first that is damaged or
    missing everything is written anew.
    """

    def __init__(
        self,
        spool: Path,
        description: PackDescription,
        key: ContentKey,
        kept: list[Entry],
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Open a spool that has `kept` records. Use `create` or `resume`."""
        self.description = description
        self._spool = spool
        self._key = key
        self._keys = PackKeys(key, description.pack_id)
        self._kept = kept
        self._entries: list[Entry] = []
        self._end = 0
        # A new prefix for each run: a record that is written anew gets another nonce (NIST SP 800-38D, 8.2.1).
        self._nonce_prefix = random(_PREFIX_BYTES)
        self._records = (spool / RECORDS).open("r+b", buffering=0)
        self._journal = (spool / JOURNAL).open("r+b", buffering=0)

    @classmethod
    def create(
        cls,
        spool: Path,
        description: PackDescription,
        key: ContentKey,
        *,
        random: Callable[[int], bytes] = os.urandom,
    ) -> Self:
        """Begin a spool in a new or empty folder. `random` is for tests that need the same nonces each time.

        Raises:
            MalformedHeaderError: the description can't be written.
            FileExistsError: there is a spool already.
        """
        header.check_description(description)
        spool.mkdir(parents=True, exist_ok=True)
        with (spool / RECORDS).open("xb"):
            pass
        with (spool / JOURNAL).open("xb") as journal:
            journal.write(header.encode(description, (), PackKeys(key, description.pack_id)))
        return cls(spool, description, key, [], random)

    @classmethod
    def resume(cls, spool: Path, key: ContentKey, *, content_id: UUID, content_version: int) -> Self:
        """Go on with the spool of an interrupted writer.

        Raises:
            SpoolError: there is none, or it is of other content, another version or another key. Remove it, and begin
                one with a new pack id.
        """
        try:
            raw = (spool / JOURNAL).read_bytes()
            head, _ = header.decode(raw, key)
            size = (spool / RECORDS).stat().st_size
        except (OSError, LsvError) as error:
            raise SpoolError(f"the spool can't be continued: {error}") from error
        if (head.description.content_id, head.description.content_version) != (content_id, content_version):
            raise SpoolError("the spool is of other content")
        if head.entries or head.records_start != header.header_bytes(head.description, 0):
            raise SpoolError("another version of this library wrote the spool")
        return cls(spool, head.description, key, _whole_entries(raw[head.pack_bytes :], size))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def kept_records(self) -> int:
        """Return how many records of an interrupted run are left to compare."""
        return len(self._kept)

    def add_init(self, segment: bytes) -> None:
        """Take the initialisation segment, before any chunk. Raise what `add` raises."""
        if self._entries:
            raise ChunkRefusedError("the initialisation segment comes first, and once")
        self._add(segment, 0, begins_with_key_frame=False)

    def add(self, chunk: bytes, *, duration: int, begins_with_key_frame: bool = True) -> None:
        """Take the next chunk: whole media segments that last `duration` ticks.

        Raises:
            ChunkRefusedError: it is empty or too large, has no duration, or can't come here.
            SourceChangedError: an interrupted run wrote another chunk in its place. Begin a new pack.
        """
        if not self._entries:
            raise ChunkRefusedError("the initialisation segment comes first")
        self._add(chunk, duration, begins_with_key_frame=begins_with_key_frame)

    def _add(self, plaintext: bytes, duration: int, *, begins_with_key_frame: bool) -> None:
        index = len(self._entries)
        entry = Entry(duration, len(plaintext) + layout.OVERHEAD_BYTES, begins_with_key_frame)
        try:
            header.check_entry(index, entry)
        except MalformedHeaderError as error:
            raise ChunkRefusedError(str(error)) from None
        if not self._is_kept(index, entry, plaintext):
            self._write(index, entry, plaintext)
        self._entries.append(entry)
        self._end += entry.length

    def _is_kept(self, index: int, entry: Entry, plaintext: bytes) -> bool:
        """Return whether the spool has this very record. Give up everything from a damaged one on."""
        if index >= len(self._kept):
            return False
        record = os.pread(self._records.fileno(), self._kept[index].length, self._end)
        try:
            found = records.unseal(record, index=index, description=self.description, keys=self._keys)
        except RecordAuthenticationError:
            del self._kept[index:]
            return False
        if self._kept[index] != entry or found != plaintext:
            raise SourceChangedError(f"record {index} differs from the one before the interruption")
        return True

    def _write(self, index: int, entry: Entry, plaintext: bytes) -> None:
        nonce = self._nonce_prefix + index.to_bytes(4, "big")
        record = records.seal(plaintext, index=index, nonce=nonce, description=self.description, keys=self._keys)
        at = header.header_bytes(self.description, 0) + index * layout.ENTRY_BYTES
        # Entries of records given up may stay: `resume` drops those without bytes, `_is_kept` those not authentic.
        self._records.truncate(self._end)
        _write_at(self._records.fileno(), record, self._end)
        _write_at(self._journal.fileno(), layout.encode_entry(entry), at)

    def finish(self, destination: Path) -> Header:
        """Make the pack, read it back, put it into place in one step, and remove the spool.

        The folder of the destination needs room for the whole pack beside the spool.

        Raises:
            MalformedHeaderError: there is no chunk, or there are too many.
            SourceChangedError: an interrupted run had more chunks. Begin a new pack.
            LsvError: what was read back is not what was written.
        """
        start = header.header_bytes(self.description, len(self._entries))
        head = Header(self.description, tuple(self._entries), start).check()
        if len(self._kept) > len(self._entries):
            raise SourceChangedError("the interrupted run had more chunks")
        # An interrupted run may have left a record that its journal doesn't list.
        self._records.truncate(self._end)
        partial = destination.with_name(destination.name + ".partial")
        with partial.open("wb") as output:
            output.write(header.encode(self.description, self._entries, self._keys))
            self._records.seek(0)
            shutil.copyfileobj(self._records, output, _COPY_BYTES)
            output.flush()
            os.fsync(output.fileno())
        with FileSource(partial) as source:
            description = self.description
            PackReader.open(
                source,
                self._key,
                content_id=description.content_id,
                content_version=description.content_version,
            ).verify()
        partial.replace(destination)
        _sync_folder(destination.parent)
        self.close()
        shutil.rmtree(self._spool)
        return head

    def close(self) -> None:
        """Close the spool, and leave it for `resume`."""
        self._records.close()
        self._journal.close()


def _whole_entries(raw: bytes, records_bytes: int) -> list[Entry]:
    """Return the entries of a journal up to the first that is torn, breaks a rule, or whose record is not all there."""
    kept: list[Entry] = []
    for at in range(0, len(raw) - layout.ENTRY_BYTES + 1, layout.ENTRY_BYTES):
        try:
            (entry,) = layout.decode_entries(raw[at : at + layout.ENTRY_BYTES])
            header.check_entry(len(kept), entry)
        except MalformedHeaderError:
            break
        records_bytes -= entry.length
        if records_bytes < 0:
            break
        kept.append(entry)
    return kept


def _write_at(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def _sync_folder(folder: Path) -> None:
    """Make a renamed file survive a loss of power."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
