"""Sample films, so that a newcomer has something to watch. They are computed, so they are free of rights."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import imageio_ffmpeg

_AT_ONCE: Final = 2
_RATE: Final = 24
_KEY_FRAME_SEC: Final = 2
_FADE_SEC: Final = 2
_HD_COLOURS: Final = (
    "scale=in_color_matrix=bt601:out_color_matrix=bt709,format=yuv420p,"
    "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709"
)
"""ffmpeg draws in the colours of standard definition; players take 720 lines for high definition."""
_ENCODE_SEC: Final = 600
"""Seconds for one film; a machine that needs longer will not finish."""


class SampleError(RuntimeError):
    """There is no ffmpeg, or it failed; the text says which."""


@dataclass(frozen=True)
class _Sample:
    name: str
    title: str
    description: str
    seconds: int
    picture: str
    """A graph of ffmpeg filters that draws endlessly."""
    chord: tuple[float, ...]
    """Frequencies in Hz."""
    fast_start: bool = True
    """Whether the index is in front of the pictures."""


def _gradient(colours: str, speed: float) -> str:
    """Return the filters of a slowly turning gradient, drawn small because drawing is what takes the time."""
    numbered = ":".join(f"c{index}=0x{colour}" for index, colour in enumerate(colours.split()))
    return (
        f"gradients=s=320x180:r={_RATE}:n={len(colours.split())}:{numbered}:x0=20:y0=10:x1=300:y1=170:"
        f"speed={speed}:type=linear,scale=1280:720:flags=bicubic"
    )


def _tinted(pattern: str, colours: str) -> str:
    """Return the filters of a white pattern lit by a gradient."""
    lamp = f"{_gradient(colours, 0.01)},format=gbrp[lamp]"
    return f"{pattern},format=gbrp[pattern];{lamp};[pattern][lamp]blend=all_mode=multiply"


_SAMPLES: Final = (
    _Sample(
        name="dawn",
        title="새벽의 색",
        description="남색 밤이 주황빛 아침으로 천천히 바뀝니다. 쉬어 가고 싶을 때 틀어 두세요.",
        seconds=45,
        picture=_gradient("14213d 3a6ea5 8fd3c8 fcbf49 e76f51", 0.006),
        chord=(220.0, 277.18, 329.63, 440.0),
    ),
    _Sample(
        name="edge",
        title="The Edge of the Set",
        description="One unbroken dive towards the coast of the Mandelbrot set, where every bay has bays of its own.",
        seconds=26,
        picture=(
            f"mandelbrot=s=640x360:r={_RATE}:maxiter=400:start_scale=2.4:end_scale=0.004:end_pts={26 * _RATE}:"
            "start_x=-0.7436:start_y=-0.1318:inner=black:outer=normalized_iteration_count,"
            "format=gray,scale=1280:720:flags=bicubic,pseudocolor=preset=magma"
        ),
        chord=(110.0, 164.81, 220.0, 246.94),
    ),
    _Sample(
        name="colonies",
        title="작은 마을들",
        description="네 가지 규칙만으로 태어나고 움직이고 사라지는 점들의 이야기. 콘웨이의 생명 게임입니다.",
        seconds=30,
        picture=(
            "life=s=160x90:r=12:ratio=0.2:mold=12:life_color=0xffe8a3:death_color=0x2a9d8f:mold_color=0x0b132b:"
            f"random_seed=11,fps={_RATE},scale=1280:720:flags=neighbor"
        ),
        chord=(196.0, 246.94, 293.66, 392.0),
    ),
    _Sample(
        name="test-card",
        title="Test Card with a Clock",
        description="Colour bars and a running clock: handy for trying how exactly seeking and resuming work. "
        "Its index is at the end of the file, as cameras leave it.",
        seconds=60,
        picture=f"testsrc2=s=640x360:r={_RATE},scale=1280:720:flags=neighbor",
        chord=(261.63, 329.63, 392.0),
        fast_start=False,
    ),
    _Sample(
        name="carpet",
        title="Infinite Carpet",
        description="A stroll over Sierpinski's carpet, which has holes of every size and hardly any cloth.",
        seconds=28,
        picture=_tinted(
            f"sierpinski=s=640x360:r={_RATE}:type=carpet:seed=5:jump=60,scale=1280:720:flags=bicubic",
            "00b4d8 9b5de5 f15bb5",
        ),
        chord=(146.83, 220.0, 293.66, 369.99),
    ),
    _Sample(
        name="rule-110",
        title="Rule 110 · 규칙 110",
        description="한 줄이 다음 줄을 낳습니다. Each row follows from the one above by one rule, simple enough to fit "
        "in a byte and rich enough to compute anything.",
        seconds=24,
        picture=_tinted(
            f"cellauto=s=160x90:r=18:rule=110:ratio=0.06:random_seed=3:scroll=1,fps={_RATE},"
            "scale=1280:720:flags=neighbor",
            "f4a261 e9c46a 2a9d8f",
        ),
        chord=(174.61, 220.0, 261.63, 329.63),
    ),
)


def make_samples(directory: Path, progress: Callable[[str], None]) -> list[tuple[Path, str, str]]:
    """Make six short films in H.264 and AAC, 1280 x 720, as MP4 files in an existing folder.

    `progress` is called with a sentence for each finished film, in the calling thread.

    Returns:
        File, title and description of each.

    Raises:
        SampleError: ffmpeg is missing or failed.
    """
    try:
        ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise SampleError("ffmpeg is missing. Install it, or the package imageio-ffmpeg.") from error
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        making = {pool.submit(_make, ffmpeg, sample, directory): sample for sample in _SAMPLES}
        try:
            for count, made in enumerate(as_completed(making), start=1):
                made.result()
                progress(f"Made “{making[made].title}” ({count} of {len(_SAMPLES)})")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [(_path(sample, directory), sample.title, sample.description) for sample in _SAMPLES]


def _path(sample: _Sample, directory: Path) -> Path:
    return directory / f"{sample.name}.mp4"


def _make(ffmpeg: str, sample: _Sample, directory: Path) -> None:
    end = sample.seconds - _FADE_SEC
    picture = f"{sample.picture},fade=out:st={end}:d={_FADE_SEC},{_HD_COLOURS}[picture]"
    tone = "+".join(f"sin({2 * frequency}*PI*t)" for frequency in sample.chord)
    sound = (
        f"aevalsrc='{0.3 / len(sample.chord):.3f}*({tone})*(0.7+0.3*sin(0.4*PI*t))':s=44100:c=mono,"
        f"afade=in:d={_FADE_SEC},afade=out:st={end}:d={_FADE_SEC}[sound]"
    )
    command = [
        ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "error", "-y",
        "-filter_complex", f"{picture};{sound}", "-map", "[picture]", "-map", "[sound]", "-t", str(sample.seconds),
        "-c:v", "libx264", "-preset", "superfast", "-crf", "25", "-maxrate", "3M", "-bufsize", "6M",
        "-g", str(_KEY_FRAME_SEC * _RATE), "-c:a", "aac", "-b:a", "96k",
        *(["-movflags", "+faststart"] if sample.fast_start else []),
        str(_path(sample, directory)),
    ]  # fmt: skip
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_ENCODE_SEC)  # noqa: S603 - made above
    except (subprocess.SubprocessError, OSError) as error:
        output = getattr(error, "stderr", None) or str(error).encode()
        last_lines = output.decode(errors="replace").strip()[-500:]
        raise SampleError(f"ffmpeg could not make {sample.name}.mp4: {last_lines}") from error
