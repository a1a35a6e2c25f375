"""Small real films made with the ffmpeg program, as encoders and muxers really write them."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

from mp4.tests.reference import Node, root
from mp4.tests.synthetic import box, full, table

SIZE = "64x36"
_SUBTITLES = """1
00:00:00,500 --> 00:00:02,000
one

2
00:00:03,000 --> 00:00:05,500
two

3
00:00:07,000 --> 00:00:09,000
three
"""
_CHAPTERS = """;FFMETADATA1
title=Film
[CHAPTER]
TIMEBASE=1/1000
START=0
END=2500
title=Eins
[CHAPTER]
TIMEBASE=1/1000
START=2500
END=6200
title=둘
[CHAPTER]
TIMEBASE=1/1000
START=6200
END=10000
title=Trois
"""


def ffmpeg(*arguments: str | Path) -> None:
    """Run ffmpeg; any message of it is an error."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    assert done.returncode == 0, done.stderr


def pictures(seconds: float = 10, rate: int = 25) -> tuple[str, ...]:
    return "-f", "lavfi", "-i", f"testsrc2=size={SIZE}:rate={rate}:duration={seconds}"


def sound(seconds: float = 10, rate: int = 48000) -> tuple[str, ...]:
    # A rising tone: no two packets are the same.
    tone = f"aevalsrc=0.3*sin(300*t*(1+t/3)):sample_rate={rate}:duration={seconds}"
    return "-f", "lavfi", "-i", tone


H264 = ("-c:v", "libx264", "-preset", "veryfast", "-g", "30", "-pix_fmt", "yuv420p")
AAC = ("-c:a", "aac", "-b:a", "48k")


def encoded(*codecs: str, seen: float = 10, heard: float = 10) -> Callable[[Films, Path], None]:
    """Return a film of pictures and sound, made with these options."""

    def make(_films: Films, path: Path) -> None:
        ffmpeg(*pictures(seen), *sound(heard), *codecs, path)

    return make


class Films:
    """Films by name, made when they are first needed.

    Args:
        folder: where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, name: str) -> Path:
        """Return the film of that name."""
        path = self.folder / name
        if not path.exists():
            RECIPES[name](self, path)
        return path


def _from_inside(films: Films, path: Path) -> None:
    # 3.28 s is the time of a frame, and of no key frame.
    ffmpeg("-ss", "3.28", "-i", films.get("plain.mp4"), "-c", "copy", path)


def _late_sound(films: Films, path: Path) -> None:
    plain = films.get("plain.mp4")
    ffmpeg("-i", plain, "-itsoffset", "1.2345", "-i", plain, "-map", "0:v", "-map", "1:a", "-c", "copy", path)


def _late_pictures(films: Films, path: Path) -> None:
    plain = films.get("plain.mp4")
    ffmpeg("-itsoffset", "1.2345", "-i", plain, "-i", plain, "-map", "0:v", "-map", "1:a", "-c", "copy", path)


def _everything(films: Films, path: Path) -> None:
    subtitles, chapters = films.folder / "subtitles.srt", films.folder / "chapters.txt"
    subtitles.write_text(_SUBTITLES)
    chapters.write_text(_CHAPTERS)
    plain = films.get("plain.mp4")
    inputs = ("-i", plain, "-i", films.get("mp3.mp4"), "-i", subtitles, "-i", chapters)
    tracks: tuple[str, ...] = ("-map", "0:v", "-map", "0:a", "-map", "1:a")
    if path.suffix == ".mp4":
        tracks += ("-map", "2", "-c:s", "mov_text")
    ffmpeg(
        *inputs,
        *tracks,
        "-map_metadata",
        "3",
        "-map_chapters",
        "3",
        "-c:v",
        "copy",
        "-c:a",
        "copy",
        "-timecode",
        "01:00:00:00",
        path,
    )


def _uneven(_films: Films, path: Path) -> None:
    select = "select='not(mod(n,7))+not(mod(n,3))'"
    ffmpeg(*pictures(rate=50), *sound(), "-vf", select, "-vsync", "vfr", *H264, "-bf", "2", *AAC, path)


def _narrow_sizes(films: Films, path: Path) -> None:
    data = films.get("first.mp4").read_bytes()
    same_length = rebuilt(data, 0, {b"stsz": _stz2})
    # The index is smaller now, and the media must stay where they are.
    lost = len(data) - len(same_length)
    at = same_length.index(b"moov") - 4
    at += struct.unpack_from(">I", same_length, at)[0]
    path.write_bytes(same_length[:at] + box("free", bytes(lost - 8)) + same_length[at:])


def _stz2(stsz: Node) -> bytes:
    count = stsz.u32(8)
    sizes = [stsz.u32(12 + 4 * n) for n in range(count)]
    return full("stz2", 0, struct.pack(">II", 16, count), struct.pack(f">{count}H", *sizes))


HOLE = 4_500_000_000


def _huge(films: Films, path: Path) -> None:
    data = films.get("plain.mp4").read_bytes()
    top = root(data)
    mdat = top.at("mdat")
    media = data[mdat.offset + 8 : mdat.offset + mdat.size]
    shift = HOLE + 8
    with path.open("wb") as file:
        file.write(data[: mdat.offset])
        file.write(struct.pack(">I4sQ", 1, b"mdat", 16 + HOLE + len(media)))
        file.seek(HOLE, 1)
        file.write(media)
        moov = top.at("moov")
        file.write(rebuilt(data[moov.offset : moov.offset + moov.size], shift, {b"stco": _co64(shift)}))


def _co64(shift: int) -> Callable[[Node], bytes]:
    def wide(stco: Node) -> bytes:
        return table("co64", 0, [(stco.u32(8 + 4 * n) + shift,) for n in range(stco.u32(4))], ">Q")

    return wide


def rebuilt(data: bytes, base: int, changes: dict[bytes, Callable[[Node], bytes]]) -> bytes:
    """Return the boxes of a file with some of them replaced."""

    def written(node: Node) -> bytes:
        if change := changes.get(node.kind):
            return change(node)
        if node.children:
            return box(node.kind.decode("latin-1"), *map(written, node.children))
        return data[node.offset : node.offset + node.size]

    return b"".join(map(written, root(data).children))


RECIPES: dict[str, Callable[[Films, Path], None]] = {
    "plain.mp4": encoded(*H264, "-bf", "2", *AAC),
    "first.mp4": encoded(*H264, "-bf", "0", *AAC, "-movflags", "+faststart"),
    "mp3.mp4": encoded(*H264, "-bf", "3", "-c:a", "libmp3lame"),
    "hevc.mp4": encoded(
        "-c:v", "libx265", "-x265-params", "log-level=error:keyint=30:bframes=3", "-tag:v", "hvc1", *AAC
    ),
    "av1.mp4": encoded("-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-g", "30", "-c:a", "libopus"),
    "vp9.mp4": encoded("-c:v", "libvpx-vp9", "-deadline", "realtime", "-g", "30", "-c:a", "libopus"),
    "negative.mp4": encoded(*H264, "-bf", "3", *AAC, "-movflags", "+negative_cts_offsets"),
    "no edits.mp4": encoded(*H264, "-bf", "3", *AAC, "-use_editlist", "0"),
    "open groups.mp4": encoded(*H264, "-bf", "3", "-x264-params", "open-gop=1:scenecut=0", *AAC),
    "short sound.mp4": encoded(*H264, *AAC, heard=4),
    "long sound.mp4": encoded(*H264, *AAC, seen=4),
    "one key.mp4": encoded("-c:v", "libx264", "-g", "9999", "-x264-params", "scenecut=0", "-pix_fmt", "yuv420p", *AAC),
    "all keys.mov": encoded("-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-c:a", "pcm_s16le"),
    "cd rate.mp4": lambda _, path: ffmpeg(*pictures(rate=30), *sound(rate=44100), *H264, *AAC, path),
    "ntsc.mp4": lambda _, path: ffmpeg(*pictures(), *sound(), "-r", "30000/1001", *H264, *AAC, path),
    "from inside.mp4": _from_inside,
    "late sound.mp4": _late_sound,
    "late pictures.mp4": _late_pictures,
    "everything.mp4": _everything,
    "everything.mov": _everything,
    "uneven.mp4": _uneven,
    "narrow sizes.mp4": _narrow_sizes,
    "huge.mp4": _huge,
    "sound.m4a": lambda _, path: ffmpeg(*sound(), *AAC, path),
    "opus.mp4": lambda _, path: ffmpeg(*sound(), "-c:a", "libopus", path),
    "silent.mp4": lambda _, path: ffmpeg(*pictures(), *H264, path),
    "fragments.mp4": encoded(*H264, *AAC, "-movflags", "+frag_keyframe+empty_moov"),
}
