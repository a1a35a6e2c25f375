"""Files that get none, and what is blamed for it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import av
import pytest

from services.thumbnailer import domain
from services.thumbnailer.media import child
from services.thumbnailer.media.artwork_files import save_files
from services.thumbnailer.media.errors import MediaError
from services.thumbnailer.media.inspection import Limits
from services.thumbnailer.tests.unit.films import Film
from services.thumbnailer.tests.unit.media.support import boxes, failure_of, look, names, saved


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", domain.EMPTY_FILE),
        (b"\0", domain.NOT_A_VIDEO),
        (b"Dear diary, this is not a film.\n" * 50, domain.NOT_A_VIDEO),
        (b"ffconcat version 1.0\nfile '/etc/hostname'\n", domain.NOT_A_VIDEO),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", domain.NOT_A_VIDEO),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", domain.NOT_A_VIDEO),
        (b"RIFF\xff\xff\0\0AVI LIST", domain.UNSUPPORTED_CONTAINER),
        (b"FLV\x01\x05", domain.UNSUPPORTED_CONTAINER),
        (b"OggS\0\x02", domain.UNSUPPORTED_CONTAINER),
        ((b"\x47" + bytes(187)) * 5, domain.UNSUPPORTED_CONTAINER),
        (b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01", domain.UNSUPPORTED_CONTAINER),
        (b"\x1a\x45\xdf\xa3\x87\x42\x82\x84test", domain.UNSUPPORTED_CONTAINER),
        (b"\x1a\x45\xdf\xa3\x80", domain.UNSUPPORTED_CONTAINER),
        (b"\x1a\x45\xdf\xa3", domain.DAMAGED),
        (b"\x1a\x45\xdf\xa3\x00", domain.DAMAGED),
        (b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm", domain.TRUNCATED),
        (b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webmABCDEFGH", domain.DAMAGED),
        (b"\0\0\0\x14ftypisom\0\0\0\0isom", domain.TRUNCATED),
        (b"\0\0\0\x14ftypisom\0\0\0\0isom" + b"\xf1\xe2\xd3\xc4" * 300, domain.NOT_A_VIDEO),
        (b"\0\0\0\x14ftypisom\0\0\0\0isom" + b"\0\0\0\x08free" + b"\xf1\xe2\xd3\xc4" * 300, domain.DAMAGED),
        (b"\0\0\0\x14ftypisom\0\0\0\0isom" + b"\0\0\0\x08moov" + b"\0\0\0\x08mdat", domain.NO_VIDEO_TRACK),
        (b"\0\0\0\x14ftypisom\0\0\0\0isom" + b"\0\0\0\x01moov\0\0", domain.TRUNCATED),
    ],
)
def test_file_without_video_track_is_refused(content: bytes, code: str, tmp_path: Path, artwork: Path) -> None:
    assert failure_of(saved(tmp_path / "film.mp4", content), artwork) == code


def test_picture_file_is_no_video(tmp_path: Path, artwork: Path) -> None:
    with av.open(str(tmp_path / "picture.png"), "w", format="image2pipe") as output:
        stream = output.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb24"
        output.mux(stream.encode(av.VideoFrame(64, 64, "rgb24")))
        output.mux(stream.encode(None))
    shutil.move(tmp_path / "picture.png", tmp_path / "film.mp4")
    assert failure_of(tmp_path / "film.mp4", artwork) == domain.NOT_A_VIDEO


def test_audio_file_is_refused(tmp_path: Path, artwork: Path) -> None:
    song = Film(seconds=1, codec=None, sound="aac").save(tmp_path / "song.mp4")
    assert failure_of(song, artwork) == domain.NO_VIDEO_TRACK


def test_codec_without_allowed_decoder_is_refused(tmp_path: Path, artwork: Path) -> None:
    film = Film(seconds=1, codec="ffv1").save(tmp_path / "film.mkv")
    assert failure_of(film, artwork) == domain.UNSUPPORTED_CODEC


def test_unknown_codec_is_refused(tmp_path: Path, artwork: Path) -> None:
    film = Film(seconds=1, codec="mpeg4").save(tmp_path / "film.mp4")
    data = film.read_bytes().replace(b"mp4v", b"xxxx").replace(b"esds", b"yyyy")
    assert failure_of(saved(film, data), artwork) == domain.UNSUPPORTED_CODEC


def test_copy_protected_file_is_refused(tmp_path: Path, artwork: Path) -> None:
    film = Film(
        seconds=1,
        container={
            "encryption_scheme": "cenc-aes-ctr",
            "encryption_key": "00112233445566778899aabbccddeeff",
            "encryption_kid": "ffeeddccbbaa99887766554433221100",
        },
    ).save(tmp_path / "film.mp4")
    assert failure_of(film, artwork) == domain.PROTECTED


@pytest.mark.parametrize("which", ["moov_first", "moov_last", "webm"])
@pytest.mark.parametrize("percent", [1, 30, 90, 99])
def test_truncated_file_is_refused(
    which: str, percent: int, request: pytest.FixtureRequest, tmp_path: Path, artwork: Path
) -> None:
    whole = request.getfixturevalue(which).read_bytes()
    part = saved(tmp_path / "film", whole[: len(whole) * percent // 100])
    assert failure_of(part, artwork) == domain.TRUNCATED


def test_truncated_where_the_last_box_has_no_size(moov_first: Path, tmp_path: Path, artwork: Path) -> None:
    """A size of 0 means "to the end of the file", so only the sample table knows what is missing."""
    data = bytearray(moov_first.read_bytes())
    start, end = boxes(bytes(data))["mdat"]
    assert end == len(data)
    data[start : start + 4] = bytes(4)
    assert look(saved(tmp_path / "film.mp4", bytes(data)), artwork)[0].audio_codec
    (artwork / "thumbnail.jpg").unlink()
    cut = saved(tmp_path / "film.mp4", bytes(data[: start + (end - start) // 2]))
    assert failure_of(cut, artwork) == domain.TRUNCATED


def test_file_without_decodable_picture_is_refused(tmp_path: Path, artwork: Path) -> None:
    film = Film(seconds=2).save(tmp_path / "film.mp4")
    data = bytearray(film.read_bytes())
    start, end = boxes(bytes(data))["mdat"]
    data[start + 8 : end] = bytes(end - start - 8)
    assert failure_of(saved(film, bytes(data)), artwork) == domain.NO_PICTURE


def test_impossibly_long_duration_is_damage(tmp_path: Path, artwork: Path) -> None:
    film = Film(seconds=1).save(tmp_path / "film.mp4")
    data = bytearray(film.read_bytes())
    one, ages = b"\0\0\0\x01", b"\0\xff\xff\xff"
    for name, offset, value in (
        (b"mvhd", 16, one),
        (b"mvhd", 20, ages),
        (b"tkhd", 24, ages),
        (b"mdhd", 16, one),
        (b"mdhd", 20, ages),
        (b"elst", 12, ages),
        (b"stts", 16, ages),
    ):
        at = data.index(name) + offset
        data[at : at + 4] = value
    assert failure_of(saved(film, bytes(data)), artwork) == domain.DAMAGED


def test_a_damaged_head_is_not_blamed_on_the_disk(tmp_path: Path, artwork: Path) -> None:
    """FFmpeg says "input/output error" here, and the file would be tried again for ever."""
    film = Film(seconds=2, codec="libvpx-vp9").save(tmp_path / "film.webm")
    data = bytearray(film.read_bytes())
    data[data.rindex(b"\x15\x49\xa9\x66")] = 0xFF  # the id of the element Info
    with pytest.raises(av.error.OSError, match="Errno 5"):
        av.open(str(saved(film, bytes(data))), format="matroska")
    assert failure_of(film, artwork) == domain.DAMAGED


@pytest.mark.parametrize(
    ("number", "kind", "blamed"),
    [
        (errno.ESTALE, av.error.OSError, True),
        (errno.EIO, OSError, True),
        (errno.EIO, av.error.OSError, False),
        (errno.EPERM, av.error.PermissionError, False),
    ],
)
def test_errors_are_attributed_to_disk_or_file(
    number: int, kind: type[OSError], *, blamed: bool, moov_first: Path
) -> None:
    with moov_first.open("rb") as file:
        assert child.is_failure_to_read(kind(number, "an error"), file.fileno()) is blamed


def test_disk_that_fails_again_is_to_blame() -> None:
    nothing_open = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert child.is_failure_to_read(av.error.OSError(errno.EIO, "an error"), nothing_open)
    finally:
        os.close(nothing_open)


def test_a_picture_that_is_too_large(moov_first: Path, artwork: Path) -> None:
    assert failure_of(moov_first, artwork, Limits(max_pixels=320 * 180 - 1)) == domain.UNSUPPORTED_RESOLUTION


def test_folder_is_no_video(tmp_path: Path, artwork: Path) -> None:
    assert failure_of(tmp_path, artwork) == domain.NOT_A_VIDEO


def test_a_named_pipe_is_not_waited_for(tmp_path: Path, artwork: Path) -> None:
    os.mkfifo(tmp_path / "film.mp4")
    assert failure_of(tmp_path / "film.mp4", artwork) == domain.NOT_A_VIDEO


@pytest.mark.parametrize("name", ["missing.mp4", "moov-first.mp4/inside"])
def test_missing_file_is_reported(name: str, moov_first: Path, artwork: Path) -> None:
    assert failure_of(moov_first.parent / name, artwork) == domain.FILE_MISSING


@pytest.mark.parametrize("name", ["x" * 300, "nul\0.mp4"])
def test_impossible_file_name_is_unreadable(name: str, tmp_path: Path, artwork: Path) -> None:
    assert failure_of(tmp_path / name, artwork) == domain.FILE_UNREADABLE


def test_artwork_that_can_not_be_saved_leaves_nothing(tmp_path: Path, artwork: Path) -> None:
    (artwork / "a file").touch()
    (artwork / "half" / "b.jpg").mkdir(parents=True)
    for folder in (tmp_path / "gone" / "thumbnail", artwork / "a file", artwork / "half"):
        with pytest.raises(MediaError) as caught:
            save_files(folder, {"a.jpg": b"x", "b.jpg": b"x"})
        assert caught.value.failure.code == domain.THUMBNAIL_UNWRITABLE
    assert not (tmp_path / "gone").exists()
    assert names(artwork) == ["a file"]


def test_a_server_without_temporary_space(
    moov_first: Path, tmp_path: Path, artwork: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
        assert failure_of(moov_first, artwork) == domain.SERVER_BUSY
