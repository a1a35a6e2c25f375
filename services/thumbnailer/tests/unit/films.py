"""Make small films for the tests, and read thumbnails back. Needs only PyAV."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import av

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    Painter = Callable[[float, int, int], list[bytes]]
    """Luma rows of a picture, from its time in seconds, its width and its height."""

RATE = 10
SOUND_RATE = 48_000
SOUND_SAMPLES = 960


def luma_at(second: float) -> int:
    """Return the brightness of a film at a time, of 16 (black) to 235 (white); it changes each second."""
    return 40 + 9 * int(second)


def clock(second: float, width: int, height: int) -> list[bytes]:
    """Return a picture whose brightness is its time."""
    return [bytes([luma_at(second)]) * width] * height


def white_corner(_second: float, width: int, height: int) -> list[bytes]:
    """Return a black picture with a white quarter at the top left."""
    half = width // 2
    lit, dark = bytes([235]) * half + bytes([16]) * (width - half), bytes([16]) * width
    return [lit] * (height // 2) + [dark] * (height - height // 2)


@contextmanager
def kept_scheduling() -> Iterator[None]:
    """Undo the real-time priority that SVT-AV1 gives a process of root, and every later child would inherit.

    A program that spins while it waits, as Go's runtime does, then starves the machine.
    """
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)


@dataclass(frozen=True)
class Film:
    """The properties of a film to make."""

    seconds: float = 20
    codec: str | None = "libx264"
    """None: sound only."""
    sound: str | None = None
    size: tuple[int, int] = (320, 180)
    key_frame_sec: float = 1
    pixel_aspect: Fraction | None = None
    turned: int = 0
    """Degrees counterclockwise that a player turns it by."""
    mirrored: bool = False
    paint: Painter = clock
    container: dict[str, str] = field(default_factory=dict)
    """Options of the container, such as `movflags`."""
    options: dict[str, str] = field(default_factory=dict)
    """Options of the encoder."""
    format: str | None = None

    def save(self, path: Path) -> Path:
        """Make the film; the extension of its name chooses the container unless `format` does."""
        with kept_scheduling(), av.open(str(path), "w", format=self.format, options=self.container) as output:
            # The first packet fixes the tracks: both must be there by then.
            pictures = self._pictures(output, self.codec) if self.codec else None
            sound = output.add_stream(self.sound, rate=SOUND_RATE, layout="mono") if self.sound else None
            if pictures:
                self._shoot(output, pictures)
            if isinstance(sound, av.AudioStream):
                self._record(output, sound)
        return path

    @property
    def _pixels(self) -> str:
        return "yuvj420p" if self.codec == "mjpeg" else "yuv420p"

    def _pictures(self, output: OutputContainer, codec: str) -> VideoStream:
        quick = {"libx264": {"preset": "superfast", "crf": "12"}, "libvpx-vp9": {"deadline": "realtime"}}
        stream = output.add_stream(codec, rate=RATE, options=quick.get(codec, {}) | self.options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = self.size
        stream.pix_fmt = self._pixels
        stream.codec_context.gop_size = round(self.key_frame_sec * RATE)
        if self.pixel_aspect:
            stream.codec_context.sample_aspect_ratio = self.pixel_aspect
        if self.turned or self.mirrored:
            stream.set_display_rotation(self.turned, hflip=self.mirrored)
        return stream

    def _shoot(self, output: OutputContainer, stream: VideoStream) -> None:
        for number in range(max(1, round(self.seconds * RATE))):
            frame = av.VideoFrame(*self.size, self._pixels)
            _fill(frame, self.paint(number / RATE, *self.size))
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))

    def _record(self, output: OutputContainer, stream: AudioStream) -> None:
        for number in range(round(self.seconds * SOUND_RATE / SOUND_SAMPLES)):
            frame = av.AudioFrame(format="s16", layout="mono", samples=SOUND_SAMPLES)
            frame.planes[0].update(bytes(frame.planes[0].buffer_size))
            frame.sample_rate, frame.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
            frame.pts = number * SOUND_SAMPLES
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def _fill(frame: VideoFrame, rows: list[bytes]) -> None:
    luma, *chroma = frame.planes
    luma.update(b"".join(row.ljust(luma.line_size, b"\0") for row in rows))
    for plane in chroma:
        plane.update(bytes([128]) * plane.buffer_size)


@dataclass(frozen=True)
class Thumbnail:
    """A JPEG as a viewer sees it, in shades of grey."""

    width: int
    height: int
    rows: list[bytes]

    @classmethod
    def read(cls, path: Path) -> Thumbnail:
        """Decode a JPEG.

        Raises:
            av.error.FFmpegError: it is none.
        """
        with av.open(str(path), format="jpeg_pipe") as source:
            frame = next(source.decode(video=0))
        plane = frame.planes[0]
        pixels = bytes(plane)
        starts = range(0, frame.height * plane.line_size, plane.line_size)
        return cls(frame.width, frame.height, [pixels[start : start + frame.width] for start in starts])

    def shade(self, across: float = 0.5, down: float = 0.5) -> int:
        """Return the brightness of the pixel at these fractions of width and height, of 16 to 235 as in a film."""
        full_range = self.rows[int(self.height * down)][int(self.width * across)]
        return round(16 + full_range * 219 / 255)
