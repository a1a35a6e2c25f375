"""Films of real encoders, begun anywhere: FFmpeg says whether what comes out is the film from its key frame on."""

from __future__ import annotations

import json
import random
import re
import subprocess
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mp4 import StartBeyondEndError, UnsupportedMediaError, VirtualFile, build
from mp4.tests.films import HOLE, Films

# Times are printed with six digits, and moved in units of a track's timescale.
TOLERANCE_SEC = 0.00005
# Decoded pictures have times of the frame rate.
HALF_A_FRAME_SEC = 0.02
KEPT = [
    "plain.mp4",
    "first.mp4",
    "mp3.mp4",
    "hevc.mp4",
    "av1.mp4",
    "vp9.mp4",
    "negative.mp4",
    "no edits.mp4",
    "short sound.mp4",
    "long sound.mp4",
    "cd rate.mp4",
    "ntsc.mp4",
    "from inside.mp4",
    "late sound.mp4",
    "late pictures.mp4",
    "everything.mp4",
    "everything.mov",
    "uneven.mp4",
    "narrow sizes.mp4",
    "silent.mp4",
    "sound.m4a",
    "opus.mp4",
]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Films:
    return Films(tmp_path_factory.mktemp("films"))


def run(*command: str | Path) -> str:
    """What a program prints; that it complains of nothing is part of the test."""
    command = tuple(map(str, command))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout


def build_of(path: Path, start_sec: float) -> VirtualFile:
    with path.open("rb", buffering=0) as file:
        return build(file, path.stat().st_size, start_sec)


def save(source: Path, virtual: VirtualFile, target: Path) -> Path:
    """Writes a virtual file to the disk, where programs can read it."""
    with source.open("rb") as old, target.open("wb") as new:
        new.write(virtual.header)
        for span in virtual.spans:
            old.seek(span.offset)
            left = span.count
            while left:
                block = old.read(min(left, 1 << 20))
                assert block
                new.write(block)
                left -= len(block)
    assert target.stat().st_size == virtual.size
    return target


@dataclass(frozen=True)
class Packet:
    hash: str
    shown_sec: float
    is_key: bool
    is_discarded: bool


@dataclass(frozen=True)
class Stream:
    kind: str
    codec: str
    packets: tuple[Packet, ...]


@cache
def probe(path: Path) -> dict[str, Stream]:
    """What FFmpeg reads of a film: its streams by track id."""
    command = ("ffprobe", "-v", "error", "-show_streams", "-show_packets", "-show_data_hash", "md5", "-of", "json")
    info = json.loads(run(*command, path))
    found = {}
    for stream in info["streams"]:
        packets = tuple(
            Packet(packet["data_hash"], float(packet["pts_time"]), "K" in packet["flags"], "D" in packet["flags"])
            for packet in info["packets"]
            if packet["stream_index"] == stream["index"]
        )
        found[stream["id"]] = Stream(stream["codec_type"], stream.get("codec_name", "?"), packets)
    return found


@cache
def frames(path: Path) -> list[tuple[float, str]]:
    """The pictures that a player shows: times in seconds, and what they look like."""
    output = run("ffmpeg", "-v", "fatal", "-i", path, "-map", "0:v:0", "-vsync", "passthrough", "-f", "framemd5", "-")
    base = re.search(r"#tb 0: (\d+)/(\d+)", output)
    assert base
    unit = int(base[1]) / int(base[2])
    rows = [line.split(",") for line in output.splitlines() if not line.startswith("#")]
    return [(int(row[2]) * unit, row[5].strip()) for row in rows]


def leading(streams: dict[str, Stream]) -> Stream:
    """The stream that decides where a film can be begun."""
    kinds = {stream.kind: stream for stream in reversed(streams.values())}
    return kinds.get("video") or kinds["audio"]


def key_frame_at(streams: dict[str, Stream], start_sec: float) -> float:
    """When the key frame at or before a time is shown; 0 when there is none."""
    stream = leading(streams)
    keys = sorted(packet.shown_sec for packet in stream.packets if packet.is_key and packet.shown_sec >= 0)
    place = bisect_right(keys, start_sec + 0.0005)
    return keys[place - 1] if place else 0.0


def assert_moved(source: dict[str, Stream], moved: dict[str, Stream], by_sec: float) -> None:
    """Each packet is the source's, none is missing, and all are shown earlier by the same time."""
    assert moved
    for number, stream in moved.items():
        if stream.kind == "data":
            # One sample tells the time code of the first frame; FFmpeg shows it where it likes.
            continue
        whole = source[number].packets
        first = len(whole) - len(stream.packets)
        assert [packet.hash for packet in stream.packets] == [packet.hash for packet in whole[first:]]
        pairs = list(zip(whole[first:], stream.packets, strict=True))
        if stream.kind == "subtitle":
            # The text that had begun already is shown from the first moment on.
            pairs = pairs[1:]
        for old, new in pairs:
            assert old.shown_sec - new.shown_sec == pytest.approx(by_sec, abs=TOLERANCE_SEC), stream
        # Nothing that is shown was left behind.
        assert all(packet.shown_sec < by_sec + TOLERANCE_SEC for packet in whole[:first]), stream
    for number, stream in source.items():
        if number not in moved:
            assert all(packet.shown_sec < by_sec for packet in stream.packets)


def assert_plays(path: Path) -> None:
    """A strict player has nothing to complain of."""
    run(
        "ffmpeg",
        "-v",
        "error",
        "-xerror",
        "-i",
        path,
        "-map",
        "0:v?",
        "-map",
        "0:a?",
        "-f",
        "null",
        "-",
    )


def evaluate_preconditions(source: Path, start_sec: float, target: Path) -> VirtualFile:
    """Begins a film at a time, and looks at it with all eyes."""
    virtual = build_of(source, start_sec)
    save(source, virtual, target)
    old, new = probe(source), probe(target)
    expected = key_frame_at(old, start_sec)
    assert virtual.start_sec == pytest.approx(expected, abs=TOLERANCE_SEC)
    assert_moved(old, new, expected)
    shown = [packet for packet in leading(new).packets if not packet.is_discarded]
    if expected:
        assert min(packet.shown_sec for packet in shown) == pytest.approx(0, abs=TOLERANCE_SEC)
        assert min(shown, key=lambda packet: packet.shown_sec).is_key
    assert_plays(target)
    if leading(new).kind == "video":
        before, after = frames(source), frames(target)
        assert after
        assert [look for _, look in after] == [look for _, look in before[-len(after) :]]
        assert before[-len(after)][0] == pytest.approx(max(expected, before[0][0]), abs=HALF_A_FRAME_SEC)
    return virtual


@pytest.mark.parametrize("name", KEPT)
def test_a_film_begins_at_its_key_frame(films: Films, tmp_path: Path, name: str) -> None:
    source = films.get(name)
    stream = leading(probe(source))
    keys = [packet.shown_sec for packet in stream.packets if packet.is_key and packet.shown_sec > 0]
    end = max(packet.shown_sec for packet in stream.packets)
    chance = random.Random(name)
    # In the middle of things, at a key frame's own time, and in the last moment.
    starts = (chance.uniform(1.5, end), chance.choice(keys), end)
    for number, start_sec in enumerate(starts):
        evaluate_preconditions(source, start_sec, tmp_path / f"{number}{source.suffix}")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start_sec=st.floats(0.001, 9.9))
def test_any_time_will_do(films: Films, tmp_path: Path, start_sec: float) -> None:
    target = tmp_path / f"{start_sec}.mp4"
    evaluate_preconditions(films.get("everything.mp4"), start_sec, target)


@pytest.mark.parametrize("name", [*KEPT, "one key.mp4", "all keys.mov"])
def test_the_whole_begins_with_its_index(films: Films, tmp_path: Path, name: str) -> None:
    source = films.get(name)
    virtual = build_of(source, 0)
    target = save(source, virtual, tmp_path / f"whole{source.suffix}")
    data = target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert data.index(b"ftyp") == 4
    if name == "first.mp4":
        assert data == source.read_bytes()
    old, new = probe(source), probe(target)
    assert old == new
    assert target.stat().st_size == source.stat().st_size
    assert_plays(target)


def test_a_film_with_one_key_frame_is_always_whole(films: Films) -> None:
    source = films.get("one key.mp4")
    tags = {build_of(source, start_sec).digest for start_sec in (0, 0.3, 5, 9.9)}
    assert len(tags) == 1


def test_open_groups_of_h264_are_no_beginning(films: Films) -> None:
    source = films.get("open groups.mp4")
    packets = leading(probe(source)).packets
    assert sum(packet.is_key for packet in packets) > 5
    # All but the first refer to pictures before them: decoders would fail.
    assert build_of(source, 7).digest == build_of(source, 0).digest


def test_sound_in_samples_of_a_few_bytes_is_cut_too(films: Films, tmp_path: Path) -> None:
    source = films.get("all keys.mov")
    virtual = build_of(source, 4.321)
    target = save(source, virtual, tmp_path / "cut.mov")
    assert virtual.start_sec == pytest.approx(4.32)

    def sound(path: Path, start: int) -> list[str]:
        trim = f"atrim=start_sample={start},asetpts=N/SR/TB"
        return run("ffmpeg", "-v", "error", "-i", path, "-map", "0:a", "-af", trim, "-f", "md5", "-").split()

    assert sound(target, 0) == sound(source, round(4.32 * 48000))
    assert [look for _, look in frames(target)] == [look for _, look in frames(source)[108:]]


def test_sound_is_exact_to_the_sample(films: Films, tmp_path: Path) -> None:
    source = films.get("plain.mp4")
    virtual = build_of(source, 5)
    target = save(source, virtual, tmp_path / "cut.mp4")

    def sound(path: Path, start: int) -> array[int]:
        # Two seconds, but for the first moment: what AAC makes of that depends on what came before.
        trim = f"atrim=start_sample={start + 4096}:end_sample={start + 4096 + 96000},asetpts=N/SR/TB"
        wave = tmp_path / "wave"
        run("ffmpeg", "-v", "error", "-y", "-i", path, "-map", "0:a", "-af", trim, "-f", "s16le", wave)
        return array("h", wave.read_bytes())

    before, after = sound(source, round(virtual.start_sec * 48000)), sound(target, 0)
    assert len(before) == len(after) == 96000
    assert max(before) > 1000
    assert max(abs(one - other) for one, other in zip(before, after, strict=True)) <= 1


def test_seeking_works_within(films: Films, tmp_path: Path) -> None:
    source = films.get("everything.mp4")
    virtual = build_of(source, 4)
    target = save(source, virtual, tmp_path / "cut.mp4")

    def picture(path: Path, at: float) -> str:
        seek = ("ffmpeg", "-v", "error", "-ss", f"{at:.3f}", "-i", path, "-map", "0:v:0", "-frames:v", "1")
        return run(*seek, "-f", "framemd5", "-").split()[-1]

    for at in (0.0, 1.0, 2.4, 5.0):
        assert picture(target, at) == picture(source, virtual.start_sec + at)


def test_chapters_and_time_code_stay(films: Films, tmp_path: Path) -> None:
    source = films.get("everything.mp4")
    virtual = build_of(source, 3.7)
    target = save(source, virtual, tmp_path / "cut.mp4")
    info = json.loads(
        run("ffprobe", "-v", "error", "-show_chapters", "-show_format", "-show_streams", "-of", "json", target)
    )
    chapters = [(float(chapter["start_time"]), chapter["tags"]["title"]) for chapter in info["chapters"]]
    assert chapters == [(0.0, "둘"), (pytest.approx(6.2 - virtual.start_sec, abs=0.001), "Trois")]
    assert info["format"]["tags"]["title"] == "Film"
    kinds = [stream["codec_type"] for stream in info["streams"]]
    assert sorted(kinds) == ["audio", "audio", "data", "data", "subtitle", "video"]
    assert info["streams"][0]["tags"]["timecode"] == "01:00:00:00"


def test_one_key_frame_is_one_tag(films: Films) -> None:
    source = films.get("plain.mp4")
    built = [build_of(source, start_sec) for start_sec in (2.4, 2.5, 3.0, 3.5, 3.6)]
    assert [virtual.start_sec for virtual in built] == [2.4, 2.4, 2.4, 2.4, 3.6]
    assert len({virtual.digest for virtual in built}) == 2
    for virtual, start_ms in zip(built, (2400, 2500, 3000, 3500, 3600), strict=True):
        assert virtual.first_ms <= start_ms < virtual.until_ms


@pytest.fixture
def huge(films: Films) -> Iterator[Path]:
    path = films.get("huge.mp4")
    yield path
    path.unlink()


def test_more_than_four_gigabytes(films: Films, huge: Path, tmp_path: Path) -> None:
    plain = films.get("plain.mp4")
    virtual = build_of(huge, 5)
    assert virtual.spans[0].offset > HOLE
    # What is left is small, and so are its numbers.
    assert b"co64" not in virtual.header
    target = save(huge, virtual, tmp_path / "cut.mp4")
    assert_moved(probe(plain), probe(target), 4.8)
    whole = build_of(huge, 0)
    assert whole.size == huge.stat().st_size
    assert b"co64" in whole.header
    target = tmp_path / "whole.mp4"
    with target.open("wb") as file:
        file.write(whole.header)
        file.write(b"".join(_bytes(huge, whole.spans[0].offset, 16)))
        (span,) = whole.spans
        media_at = whole.spans[0].offset + HOLE + 16
        file.seek(len(whole.header) + HOLE + 16)
        file.write(b"".join(_bytes(huge, media_at, span.offset + span.count - media_at)))
    assert target.stat().st_size == whole.size
    assert probe(target) == probe(plain)


def _bytes(path: Path, offset: int, count: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(offset)
        yield file.read(count)


@pytest.mark.parametrize("start_sec", [10.1, 11, 1e6, 1e300, float("inf")])
def test_beyond_the_end(films: Films, start_sec: float) -> None:
    with pytest.raises(StartBeyondEndError) as caught:
        build_of(films.get("plain.mp4"), start_sec)
    assert caught.value.duration_ms == 10_000


@pytest.mark.parametrize("start_sec", [-1, -0.001, float("nan"), float("-inf")])
def test_no_time_at_all(films: Films, start_sec: float) -> None:
    with pytest.raises(ValueError, match="not a time"):
        build_of(films.get("plain.mp4"), start_sec)


@pytest.mark.parametrize("start_sec", [0, 5])
def test_fragments_are_served_as_they_are(films: Films, start_sec: float) -> None:
    with pytest.raises(UnsupportedMediaError):
        build_of(films.get("fragments.mp4"), start_sec)
