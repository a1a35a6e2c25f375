"""A film becomes a pack from which every packet comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from lsv import ContentKey, FileSource, PackReader
from lsv.errors import SourceChangedError
from services.thumbnailer.media.packing.chunks import join
from services.thumbnailer.media.packing.errors import NeedsTranscodingError, PackingError
from services.thumbnailer.media.packing.fragments import FragmentStream
from services.thumbnailer.media.packing.pack import PresentPack, rewrite_pack, write_pack
from services.thumbnailer.tests.unit.films import Film
from services.thumbnailer.tests.unit.media.packing.support import (
    LONG_GROUPS,
    TWO_SECONDS,
    first_picture,
    noise,
    packets,
    reads,
    remuxed,
)

CONTENT_ID, VERSION, KEY = uuid4(), 2, ContentKey.generate()
PRESENT, NEW_KEY = PresentPack(KEY, VERSION), ContentKey.generate()


def pack(folder: Path, read: Callable[[int], bytes], version: int = VERSION) -> None:
    write_pack(read, folder / "spool", folder / "pack", KEY, content_id=CONTENT_ID, content_version=version)


def unpacked(folder: Path, version: int = VERSION) -> tuple[PackReader, list[bytes]]:
    with FileSource(folder / "pack") as source:
        reader = PackReader.open(source, KEY, content_id=CONTENT_ID, content_version=version)
        return reader, [reader.read(index) for index in range(len(reader.header.entries))]


def interrupted(data: bytes, after: int) -> Callable[[int], bytes]:
    """Return a read that fails after so many bytes."""
    read, done = reads(data), 0

    def read_some(count: int) -> bytes:
        nonlocal done
        done += count
        if done > after:
            raise OSError("the child is gone")
        return read(count)

    return read_some


@pytest.mark.parametrize("film", [TWO_SECONDS, LONG_GROUPS], ids=["two seconds", "long groups"])
def test_every_packet_comes_back(tmp_path: Path, film: Film) -> None:
    source = film.save(tmp_path / "film.mp4")
    pack(tmp_path, reads(remuxed(source)))
    _, records = unpacked(tmp_path)
    before, after = packets(str(source)), packets(b"".join(records))
    for kind in ("video", "audio"):
        assert after[kind].hashes == before[kind].hashes
        offsets = [new - old for new, old in zip(after[kind].seconds, before[kind].seconds, strict=True)]
        # FFmpeg shifts tracks with negative offsets of composition as a whole; players of MediaSource don't.
        assert max(offsets) - min(offsets) < 0.001


@pytest.mark.parametrize("film", [TWO_SECONDS, LONG_GROUPS], ids=["two seconds", "long groups"])
def test_index_says_when_picture_of_chunk_is_shown(tmp_path: Path, film: Film) -> None:
    pack(tmp_path, reads(remuxed(film.save(tmp_path / "film.mp4"))))
    reader, records = unpacked(tmp_path)
    head = reader.header
    scale = head.description.timescale
    _, zero = first_picture(records[0] + records[1])
    assert head.duration / scale == pytest.approx(film.seconds, abs=0.05)
    for index, entry in enumerate(head.entries):
        if entry.begins_with_key_frame:
            is_key, seconds = first_picture(records[0] + records[index])
            assert is_key
            assert seconds - zero == pytest.approx(head.starts[index] / scale, abs=0.001)
    starts = [head.starts[index] / scale for index, entry in enumerate(head.entries) if entry.begins_with_key_frame]
    assert starts == pytest.approx([0, 2, 4, 6, 8] if film is TWO_SECONDS else [0, 10])


def repack(folder: Path, present: PresentPack = PRESENT) -> None:
    with FileSource(folder / "pack") as source:
        rewrite_pack(
            source,
            present,
            folder / "spool",
            folder / "new",
            NEW_KEY,
            content_id=CONTENT_ID,
            content_version=VERSION + 1,
        )


def test_pack_is_made_of_another_under_another_key(tmp_path: Path) -> None:
    pack(tmp_path, reads(remuxed(TWO_SECONDS.save(tmp_path / "film.mp4"))))
    with FileSource(tmp_path / "pack") as source:
        before = PackReader.open(source, KEY, content_id=CONTENT_ID, content_version=VERSION)
        records = [before.read(index) for index in range(len(before.header.entries))]
    repack(tmp_path)
    with FileSource(tmp_path / "new") as source:
        after = PackReader.open(source, NEW_KEY, content_id=CONTENT_ID, content_version=VERSION + 1)
        assert [after.read(index) for index in range(len(after.header.entries))] == records
    assert after.header.entries == before.header.entries
    assert after.header.description.mime_type == before.header.description.mime_type
    assert after.header.description.pack_id != before.header.description.pack_id
    assert after.header.description.key_id == NEW_KEY.id
    assert not (tmp_path / "spool").exists()


@pytest.mark.parametrize("present", [PresentPack(ContentKey.generate(), VERSION), PresentPack(KEY, VERSION + 1)])
def test_pack_that_can_not_be_opened_makes_no_other(tmp_path: Path, present: PresentPack) -> None:
    pack(tmp_path, reads(remuxed(TWO_SECONDS.save(tmp_path / "film.mp4"))))
    with pytest.raises(PackingError, match="the present pack can't be read"):
        repack(tmp_path, present)
    assert not (tmp_path / "new").exists()


def test_damaged_pack_makes_no_other(tmp_path: Path) -> None:
    pack(tmp_path, reads(remuxed(TWO_SECONDS.save(tmp_path / "film.mp4"))))
    damaged = bytearray((tmp_path / "pack").read_bytes())
    damaged[-100] ^= 1
    (tmp_path / "pack").write_bytes(damaged)
    with pytest.raises(PackingError, match="the present pack can't be read"):
        repack(tmp_path)
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "spool").exists()


def test_same_film_gives_same_stream(tmp_path: Path) -> None:
    source = TWO_SECONDS.save(tmp_path / "film.mp4")
    assert remuxed(source) == remuxed(source)


@pytest.mark.parametrize("share", [0.0, 0.15, 0.5, 0.99])
def test_interrupted_packing_goes_on(tmp_path: Path, share: float) -> None:
    data = remuxed(TWO_SECONDS.save(tmp_path / "film.mp4"))
    with pytest.raises(OSError, match="child"):
        pack(tmp_path, interrupted(data, int(len(data) * share)))
    assert not (tmp_path / "pack").exists()
    records = tmp_path / "spool" / "records"
    before = records.read_bytes() if records.exists() else b""
    pack(tmp_path, reads(data))
    reader, plain = unpacked(tmp_path)
    assert b"".join(plain) == data
    assert (tmp_path / "pack").read_bytes()[reader.header.records_start :].startswith(before)
    assert not (tmp_path / "spool").exists()


def test_film_that_changed_after_interruption_is_packed_anew(tmp_path: Path) -> None:
    first = remuxed(TWO_SECONDS.save(tmp_path / "film.mp4"))
    other = remuxed(Film(9, sound="aac", key_frame_sec=2, paint=noise).save(tmp_path / "other.mp4"))
    with pytest.raises(OSError, match="child"):
        pack(tmp_path, interrupted(first, len(first) - 1))
    with pytest.raises(SourceChangedError):
        pack(tmp_path, reads(other))
    assert not (tmp_path / "spool").exists()
    pack(tmp_path, reads(other))
    assert b"".join(unpacked(tmp_path)[1]) == other


def test_spool_of_older_version_is_not_used(tmp_path: Path) -> None:
    data = remuxed(TWO_SECONDS.save(tmp_path / "film.mp4"))
    with pytest.raises(OSError, match="child"):
        pack(tmp_path, interrupted(data, len(data) - 1), VERSION - 1)
    pack(tmp_path, reads(data))
    assert b"".join(unpacked(tmp_path)[1]) == data


def test_stream_that_is_cut_off_leaves_nothing(tmp_path: Path) -> None:
    data = remuxed(TWO_SECONDS.save(tmp_path / "film.mp4"))
    with pytest.raises(PackingError):
        pack(tmp_path, reads(data[:-1]))
    assert [each.name for each in tmp_path.iterdir()] == ["film.mp4"]


@pytest.mark.parametrize("jump", [2**33, 2**62])
def test_leap_in_time_that_index_can_not_say_is_refused(tmp_path: Path, jump: int) -> None:
    data = remuxed(Film(5, key_frame_sec=2).save(tmp_path / "film.mp4"))
    last = data.rindex(b"tfdt")
    assert data[last + 4] == 1
    data = data[: last + 8] + jump.to_bytes(8, "big") + data[last + 16 :]
    with pytest.raises(PackingError):
        pack(tmp_path, reads(data))
    assert [each.name for each in tmp_path.iterdir()] == ["film.mp4"]


def test_nothing_on_disk_is_plain(tmp_path: Path) -> None:
    data = remuxed(TWO_SECONDS.save(tmp_path / "film.mp4"))
    with pytest.raises(OSError, match="child"):
        pack(tmp_path, interrupted(data, len(data) - 1))
    files = [path.read_bytes() for path in (tmp_path / "spool").iterdir()]
    pack(tmp_path, reads(data))
    files.append((tmp_path / "pack").read_bytes())
    windows = {data[at : at + 16] for at in range(0, len(data) - 16, 16)}
    for raw in files:
        assert not any(raw[at : at + 16] in windows for at in range(len(raw) - 16))


def test_large_groups_of_pictures_are_cut_between_pictures(tmp_path: Path) -> None:
    source = Film(4, key_frame_sec=4, paint=noise, options={"sc_threshold": "0"}).save(tmp_path / "film.mp4")
    limit = 2**18
    data = remuxed(source, limit)
    stream = FragmentStream(reads(data), limit)
    init = stream.read_init()
    chunks = list(join(stream.fragments(init), init.video.timescale, limit))
    assert all(len(chunk.data) <= limit for chunk in chunks)
    assert [chunk.begins_with_key_frame for chunk in chunks] == [True] + [False] * (len(chunks) - 1)
    assert len(chunks) > len(data) // limit
    assert packets(init.data + b"".join(chunk.data for chunk in chunks)) == packets(data)


def test_picture_larger_than_chunk_needs_transcoding(tmp_path: Path) -> None:
    source = Film(1, size=(1920, 1080), paint=noise, options={"crf": "1", "bf": "0"}).save(tmp_path / "film.mp4")
    data = remuxed(source)
    with pytest.raises(NeedsTranscodingError):
        pack(tmp_path, reads(data))
    assert not (tmp_path / "spool").exists()
