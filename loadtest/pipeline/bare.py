"""What the same artwork costs with bare ffmpeg and ffprobe."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cost:
    """What something took."""

    wall_sec: float
    cpu_sec: float
    """Of this process and its children."""


class Meter:
    """Measures from its construction on."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), _cpu_sec()

    def cost(self) -> Cost:
        """Return what was taken so far; children count once they have ended."""
        return Cost(time.perf_counter() - self._wall, _cpu_sec() - self._cpu)


def make_film(path: Path, seconds: int, size: str, *, bitrate: str = "") -> Path:
    """Make a film of 24 pictures a second with a key frame every two seconds, and with sound."""
    rate = ["-b:v", bitrate, "-minrate", bitrate, "-maxrate", bitrate, "-bufsize", bitrate] if bitrate else []
    _run(
        *("ffmpeg", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=24:duration={seconds}"),
        *("-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "48", "-pix_fmt", "yuv420p", *rate),
        *("-x264-params", "nal-hrd=cbr") if bitrate else (),
        *("-c:a", "aac", "-movflags", "+faststart", str(path)),
    )
    return path


def storyboard(film: Path, folder: Path) -> None:
    """Make the sheets of a film from its key frames."""
    _run(
        *("ffmpeg", "-skip_frame", "nokey", "-i", str(film), "-an"),
        *("-vf", "fps=1/10,scale=160:-2,tile=10x10", "-q:v", "7", str(folder / "bare-%d.jpg")),
    )


def remux(film: Path, folder: Path) -> None:
    """Make a fragmented MP4 of a film, as an LSV pack has inside."""
    _run(
        *("ffmpeg", "-i", str(film), "-c", "copy"),
        *("-movflags", "frag_keyframe+empty_moov+default_base_moof", str(folder / "bare-fragmented.mp4")),
    )


def everything(film: Path, folder: Path) -> None:
    """Make what the pipeline makes of a tiny film: facts, thumbnail, poster in two formats, storyboard."""
    _run("ffprobe", "-show_format", "-show_streams", "-show_chapters", "-of", "json", str(film))
    _run(
        *("ffmpeg", "-ss", "0.5", "-i", str(film), "-an"),
        *("-frames:v", "1", "-vf", "scale=320:-2", "-q:v", "4", str(folder / "bare.jpg")),
        *("-frames:v", "1", "-vf", "scale=320:-2", "-c:v", "libwebp", "-quality", "78", str(folder / "bare.webp")),
    )
    _run(
        *("ffmpeg", "-skip_frame", "nokey", "-i", str(film), "-an"),
        *("-vf", "fps=1,scale=160:-2,tile=10x10", "-frames:v", "1", "-q:v", "7", str(folder / "bare-board.jpg")),
    )


def _run(program: str, *arguments: str) -> None:
    subprocess.run(  # noqa: S603 - fixed programs, own files
        [program, "-v", "error", *(["-y"] if program == "ffmpeg" else []), *arguments],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"]},
    )


def _cpu_sec() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
