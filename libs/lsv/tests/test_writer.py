"""Packs are written chunk by chunk, and go on after interruptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lsv import ContentKey, FileSource, PackReader, PackWriter, layout
from lsv.errors import (
    ChunkRefusedError,
    MalformedHeaderError,
    RecordAuthenticationError,
    SourceChangedError,
    SpoolError,
    UnsupportedPackError,
)
from lsv.tests import second_reader
from lsv.tests.packs import (
    CONTENT_ID,
    DESCRIPTION,
    INIT,
    KEY,
    PIECES,
    VERSION,
    Piece,
    feed,
    make_pack,
    open_pack,
    read_all,
)
from lsv.writer import JOURNAL, RECORDS

PLAINTEXTS = [INIT, *(piece.plaintext for piece in PIECES)]

pieces = st.lists(
    st.builds(Piece, st.binary(min_size=1, max_size=3000), st.integers(1, layout.U32_MAX), st.booleans()),
    min_size=1,
    max_size=8,
).map(lambda each: [replace(each[0], is_key=True), *each[1:]])


def create(folder: Path) -> PackWriter:
    return PackWriter.create(folder / "spool", DESCRIPTION, KEY)


def resume(folder: Path, version: int = VERSION) -> PackWriter:
    return PackWriter.resume(folder / "spool", KEY, content_id=CONTENT_ID, content_version=version)


def feed_and_finish(folder: Path, writer: PackWriter, pieces: Sequence[Piece]) -> None:
    feed(writer, pieces)
    writer.finish(folder / "pack")


def finish(folder: Path, writer: PackWriter) -> bytes:
    writer.finish(folder / "pack")
    return (folder / "pack").read_bytes()


def nonces(data: bytes) -> list[bytes]:
    offsets = open_pack(data).header.offsets
    return [data[offset : offset + layout.NONCE_BYTES] for offset in offsets[:-1]]


@settings(deadline=None)
@given(pieces, st.binary(min_size=1, max_size=500), st.integers(1, layout.U32_MAX), st.integers(0, layout.U64_MAX))
def test_both_readers_give_what_was_written(pieces: list[Piece], init: bytes, timescale: int, version: int) -> None:
    description = replace(DESCRIPTION, timescale=timescale, content_version=version)
    data = make_pack(pieces, description, init=init, random=os.urandom)
    reader = open_pack(data, version=version)
    assert [reader.read(index) for index in range(len(pieces) + 1)] == [init, *(each.plaintext for each in pieces)]
    assert reader.header.description == description
    entries = [(each.duration, each.is_key) for each in pieces]
    assert [(each.duration, each.begins_with_key_frame) for each in reader.header.entries[1:]] == entries
    film = second_reader.read(data, KEY.secret, KEY.id.bytes, CONTENT_ID.bytes, version)
    assert (film.init, film.timescale) == (init, timescale)
    assert [Piece(each.plaintext, each.duration, each.is_key) for each in film.chunks] == pieces


def test_largest_chunk_is_written_and_a_larger_one_refused(tmp_path: Path) -> None:
    largest = bytes(3 * 2**19)
    with create(tmp_path) as writer:
        writer.add_init(INIT)
        with pytest.raises(ChunkRefusedError):
            writer.add(largest + b"\0", duration=1)
        writer.add(largest, duration=1)
        assert read_all(finish(tmp_path, writer)) == [INIT, largest]


@pytest.mark.parametrize(
    ("chunk", "duration"), [(b"", 1), (b"x", 0), (b"x", -1), (b"x", 2**32)], ids=["empty", "none", "negative", "long"]
)
def test_refuses_chunk_that_index_can_not_describe(tmp_path: Path, chunk: bytes, duration: int) -> None:
    with create(tmp_path) as writer:
        writer.add_init(INIT)
        with pytest.raises(ChunkRefusedError):
            writer.add(chunk, duration=duration)


def test_refuses_records_out_of_order(tmp_path: Path) -> None:
    with create(tmp_path) as writer:
        with pytest.raises(ChunkRefusedError, match="first"):
            writer.add(b"x", duration=1)
        writer.add_init(INIT)
        with pytest.raises(ChunkRefusedError, match="once"):
            writer.add_init(INIT)
        with pytest.raises(ChunkRefusedError, match="key frame"):
            writer.add(b"x", duration=1, begins_with_key_frame=False)
        with pytest.raises(MalformedHeaderError):
            writer.finish(tmp_path / "pack")
    assert not (tmp_path / "pack").exists()


@pytest.mark.parametrize("mime_type", ["", "m" * 256, "video/mp4\n", "vidéo/mp4"])
def test_refuses_description_that_can_not_be_written(tmp_path: Path, mime_type: str) -> None:
    with pytest.raises(MalformedHeaderError):
        PackWriter.create(tmp_path / "spool", replace(DESCRIPTION, mime_type=mime_type), KEY)
    assert not (tmp_path / "spool").exists()


def test_finished_writer_leaves_pack_only(tmp_path: Path) -> None:
    with create(tmp_path) as writer:
        feed(writer)
        head = writer.finish(tmp_path / "pack")
    assert [each.name for each in tmp_path.iterdir()] == ["pack"]
    assert (tmp_path / "pack").stat().st_size == head.pack_bytes
    with FileSource(tmp_path / "pack") as source:
        PackReader.open(source, KEY, content_id=CONTENT_ID, content_version=VERSION).verify()


def test_pack_that_reads_back_wrong_is_not_put_into_place(tmp_path: Path) -> None:
    with create(tmp_path) as writer:
        feed(writer)
        os.pwrite(writer._records.fileno(), b"\xff\xff\xff", 20)
        with pytest.raises(RecordAuthenticationError, match="record 0 is not authentic"):
            writer.finish(tmp_path / "pack")
    assert not (tmp_path / "pack").exists()


def test_nothing_in_spool_or_pack_is_plain(tmp_path: Path) -> None:
    marks = [b"plain picture %d of the film" % number for number in range(4)]
    with create(tmp_path) as writer:
        feed(writer, [Piece(mark) for mark in marks[1:]], marks[0])
        files = [(tmp_path / "spool" / name).read_bytes() for name in (RECORDS, JOURNAL)]
        writer.finish(tmp_path / "pack")
    for data in (*files, (tmp_path / "pack").read_bytes()):
        assert KEY.secret not in data
        assert not any(mark in data for mark in marks)


def test_memory_is_that_of_few_chunks(tmp_path: Path) -> None:
    chunk = bytes(2**20)
    tracemalloc.start()
    try:
        with create(tmp_path) as writer:
            feed(writer, [Piece(chunk)] * 24)
            tracemalloc.reset_peak()
            writer.finish(tmp_path / "pack")
            _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "pack").stat().st_size > 24 * 2**20
    assert peak < 8 * 2**20


def test_every_nonce_of_pack_is_another() -> None:
    found = nonces(make_pack([Piece(b"x")] * 50, random=os.urandom))
    assert len(set(found)) == 51
    assert len({nonce[:8] for nonce in found}) == 1


def interrupted(folder: Path, count: int) -> None:
    """Leave a spool with that many records."""
    with create(folder) as writer:
        for index, piece in enumerate((Piece(INIT), *PIECES)[:count]):
            if index:
                writer.add(piece.plaintext, duration=piece.duration, begins_with_key_frame=piece.is_key)
            else:
                writer.add_init(INIT)


@pytest.mark.parametrize("count", range(5))
def test_interrupted_writer_keeps_records_and_adds_the_others(tmp_path: Path, count: int) -> None:
    interrupted(tmp_path, count)
    before = (tmp_path / "spool" / RECORDS).read_bytes()
    with resume(tmp_path) as writer:
        assert writer.kept_records == count
        feed(writer)
        data = finish(tmp_path, writer)
    assert read_all(data) == PLAINTEXTS
    assert data[open_pack(data).header.records_start :].startswith(before)


@settings(deadline=None)
@given(st.data())
def test_writer_goes_on_from_any_state_of_spool(data: st.DataObject) -> None:
    """Both files may be cut anywhere, as after a loss of power, or hold a changed byte."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        interrupted(folder, data.draw(st.integers(0, 4)))
        head = (folder / "spool" / JOURNAL).stat().st_size - 8 * _records_in(folder)
        for file, least in ((RECORDS, 0), (JOURNAL, head)):
            path = folder / "spool" / file
            raw = bytearray(path.read_bytes())
            raw = raw[: data.draw(st.integers(least, len(raw)))]
            if len(raw) > least and data.draw(st.booleans()):
                raw[data.draw(st.integers(least, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
            path.write_bytes(raw)
        try:
            with resume(folder) as writer:
                feed(writer)
                result = finish(folder, writer)
        except SourceChangedError:
            # A changed duration or flag in the journal: the record is authentic, its entry is not what comes now.
            return
        assert read_all(result) == PLAINTEXTS


def _records_in(folder: Path) -> int:
    with resume(folder) as writer:
        return writer.kept_records


def test_record_that_is_written_again_gets_another_nonce(tmp_path: Path) -> None:
    interrupted(tmp_path, 3)
    path = tmp_path / "spool" / RECORDS
    torn = path.read_bytes()[:-1]
    path.write_bytes(torn)
    with resume(tmp_path) as writer:
        assert writer.kept_records == 2
        feed(writer, [PIECES[0], Piece(b"another second chunk")])
        data = finish(tmp_path, writer)
    assert read_all(data) == [INIT, PIECES[0].plaintext, b"another second chunk"]
    first, _, third = nonces(data)
    assert first[:8] != third[:8]
    assert third not in torn


def test_records_behind_damaged_one_are_given_up(tmp_path: Path) -> None:
    interrupted(tmp_path, 4)
    path = tmp_path / "spool" / RECORDS
    raw = path.read_bytes()
    last = len(PIECES[2].plaintext) + layout.OVERHEAD_BYTES
    path.write_bytes(raw[: -last - 1] + bytes([raw[-last - 1] ^ 1]) + raw[-last:])
    with resume(tmp_path) as writer:
        assert writer.kept_records == 4
        feed(writer, PIECES[:2])
        assert read_all(finish(tmp_path, writer)) == PLAINTEXTS[:3]


def test_writer_interrupted_twice_keeps_what_is_authentic(tmp_path: Path) -> None:
    interrupted(tmp_path, 4)
    path = tmp_path / "spool" / RECORDS
    raw = path.read_bytes()
    path.write_bytes(raw[:20] + bytes([raw[20] ^ 1]) + raw[21:])
    with resume(tmp_path) as writer:
        writer.add_init(INIT)
    with resume(tmp_path) as writer:
        assert writer.kept_records == 1
        feed(writer)
        assert read_all(finish(tmp_path, writer)) == PLAINTEXTS


def test_record_without_entry_in_journal_is_given_up(tmp_path: Path) -> None:
    interrupted(tmp_path, 4)
    path = tmp_path / "spool" / JOURNAL
    path.write_bytes(path.read_bytes()[:-8])
    with resume(tmp_path) as writer:
        feed(writer, PIECES[:2])
        assert read_all(finish(tmp_path, writer)) == PLAINTEXTS[:3]


@pytest.mark.parametrize(
    "changed",
    [
        (Piece(b"FIRST chunk"), *PIECES[1:]),
        (Piece(b"a longer first chunk"), *PIECES[1:]),
        (replace(PIECES[0], duration=1), *PIECES[1:]),
        (PIECES[0], replace(PIECES[1], is_key=False), PIECES[2]),
        PIECES[:1],
    ],
    ids=["bytes", "length", "duration", "flag", "fewer"],
)
def test_source_that_changed_meanwhile_is_noticed(tmp_path: Path, changed: tuple[Piece, ...]) -> None:
    interrupted(tmp_path, 4)
    with resume(tmp_path) as writer, pytest.raises(SourceChangedError):
        feed_and_finish(tmp_path, writer, changed)
    assert not (tmp_path / "pack").exists()


def test_spool_of_other_content_version_or_key_is_not_continued(tmp_path: Path) -> None:
    interrupted(tmp_path, 2)
    spool = tmp_path / "spool"
    with pytest.raises(SpoolError):
        resume(tmp_path, VERSION + 1)
    with pytest.raises(SpoolError):
        PackWriter.resume(spool, KEY, content_id=uuid4(), content_version=VERSION)
    for key in (ContentKey.generate(), ContentKey(KEY.id, bytes(32))):
        with pytest.raises(SpoolError):
            PackWriter.resume(spool, key, content_id=CONTENT_ID, content_version=VERSION)


@settings(deadline=None)
@given(st.integers(0, 150))
@example(0)
def test_journal_cut_within_its_header_is_not_continued(length: int) -> None:
    with TemporaryDirectory() as name:
        interrupted(Path(name), 2)
        path = Path(name) / "spool" / JOURNAL
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(SpoolError):
            resume(Path(name))


def test_missing_spool_is_not_continued(tmp_path: Path) -> None:
    with pytest.raises(SpoolError):
        resume(tmp_path)


def test_spool_that_exists_is_not_begun_again(tmp_path: Path) -> None:
    interrupted(tmp_path, 1)
    with pytest.raises(FileExistsError):
        create(tmp_path)


def test_pack_is_whole_after_writer_was_killed(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from lsv.tests.packs import DESCRIPTION, INIT, KEY, PIECES
from lsv import PackWriter
writer = PackWriter.create(Path(sys.argv[1]), DESCRIPTION, KEY)
writer.add_init(INIT)
writer.add(PIECES[0].plaintext, duration=PIECES[0].duration)
os.kill(os.getpid(), signal.SIGKILL)
"""
    root = Path(__file__).parents[2]
    child = subprocess.run(  # noqa: S603 (this very interpreter)
        [sys.executable, "-c", script, tmp_path / "spool"], check=False, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert child.returncode == -signal.SIGKILL
    with resume(tmp_path) as writer:
        assert writer.kept_records == 2
        feed(writer)
        assert read_all(finish(tmp_path, writer)) == PLAINTEXTS


def test_readers_of_this_version_refuse_unknown_property_by_name() -> None:
    with pytest.raises(UnsupportedPackError) as caught:
        layout.decode_properties(b"\0\2\0\0")
    assert (caught.value.field, caught.value.value) == ("property", 2)
