"""Make a JPEG or WebP of a picture as a player shows it. Part of the confined child: every byte here is foreign."""

from __future__ import annotations

import struct
import sys
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import av
import av.filter
from av.error import FFmpegError
from av.video.frame import VideoFrame

from services.thumbnailer.media import tone_map
from services.thumbnailer.media.errors import UnusableFileError

if TYPE_CHECKING:
    from av.video.stream import VideoStream

MAX_SHAPE: Final = 4
"""A thumbnail is at most this many times as high as wide; a film narrower than that is squeezed."""
QUALITY: Final = 4
"""The JPEG quantiser, of 1 (best) to 31."""
WEBP_QUALITY: Final = "78"
"""Of 0 to 100."""
WEBP_EFFORT: Final = "2"
"""Of 0 (fast) to 6; 4 takes twice the time of 2 and saves 3 % of the bytes."""
_UNSPECIFIED = 2
_HIGH_DEFINITION = 720
_DEEP_RGB = "rgb48le" if sys.byteorder == "little" else "rgb48be"
_BYTES_A_PIXEL = 3

Filter = tuple[str, str]
"""Name and arguments of one of FFmpeg's filters."""

_QUARTER_TURNS = {
    (True, False): "clock",
    (False, True): "cclock",
    (True, True): "cclock_flip",
    (False, False): "clock_flip",
}
"""Directions of FFmpeg's `transpose`, by the signs of the matrix's elements b and c."""


def turns_of(frame: VideoFrame) -> list[Filter]:
    """Return filters that show a frame as its display matrix (ISO/IEC 14496-12, section 8.3.2) says.

    Only what cameras write is supported: quarter turns and mirrors.
    """
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return []
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data))
    if abs(b) + abs(c) > abs(a) + abs(d):
        return [("transpose", _QUARTER_TURNS[b > 0, c > 0])]
    return [(mirror, "") for mirror, on in (("hflip", a < 0), ("vflip", d < 0)) if on]


def is_quarter_turn(turns: list[Filter]) -> bool:
    """Return whether width and height change places."""
    return any(name == "transpose" for name, _ in turns)


def rotation_of(turns: list[Filter]) -> int:
    """Return the degrees clockwise that these filters turn a picture by: 0, 90, 180 or 270. Mirrors don't count."""
    for name, direction in turns:
        if name == "transpose":
            return 90 if direction.startswith("clock") else 270
    return 180 if len(turns) == len(("hflip", "vflip")) else 0


def shown(frame: VideoFrame, stream: VideoStream, width: int) -> VideoFrame:
    """Return a picture as a player shows it: in its shape, `width` pixels wide, turned, in BT.709 and as YCbCr.

    Raises:
        UnusableFileError: NO_PICTURE, as it has no size.
    """
    if frame.width < 1 or frame.height < 1:
        raise UnusableFileError("NO_PICTURE")
    turns = turns_of(frame)
    aspect = stream.sample_aspect_ratio or Fraction(1)
    shape = Fraction(frame.height, frame.width) / (aspect if aspect > 0 else 1)
    if is_quarter_turn(turns):
        shape = 1 / shape
    height = max(2, 2 * round(width * min(shape, Fraction(MAX_SHAPE)) / 2))
    size = f"{height}:{width}" if is_quarter_turn(turns) else f"{width}:{height}"  # before it is turned
    transfer, primaries = int(frame.color_trc), int(frame.color_primaries)
    if tone_map.is_needed(transfer, primaries):
        if frame.colorspace == _UNSPECIFIED:
            frame.colorspace = tone_map.BT2020
        frame = _mapped(_resized(frame, size, _DEEP_RGB), transfer, primaries)
    return _resized(frame, size, "yuvj420p", turns)


def shown_width(frame: VideoFrame, stream: VideoStream) -> int:
    """Return how many pixels wide a player shows a picture."""
    if is_quarter_turn(turns_of(frame)):
        return frame.height
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return round(frame.width * (aspect if aspect > 0 else 1))


def smaller(picture: VideoFrame, width: int) -> VideoFrame:
    """Return a result of `shown` scaled to a width."""
    height = max(2, 2 * round(width * picture.height / picture.width / 2))
    return _filtered(picture, f"{width}:{height}", "yuvj420p", [])


def rgb_of(picture: VideoFrame, width: int, height: int) -> bytes:
    """Return the pixels of a result of `shown`, scaled: red, green and blue in 8 bits."""
    frame = picture.reformat(width=width, height=height, format="rgb24", interpolation="AREA", threads=1)
    data, line = memoryview(frame.planes[0]), frame.planes[0].line_size
    return b"".join(data[at : at + _BYTES_A_PIXEL * width] for at in range(0, height * line, line))


def _mapped(frame: VideoFrame, transfer: int, primaries: int) -> VideoFrame:
    """Return a deep RGB frame mapped to BT.709, in 8 bits."""
    source, row = frame.planes[0], 2 * _BYTES_A_PIXEL * frame.width
    data = memoryview(source)
    codes = b"".join(data[at : at + row] for at in range(0, frame.height * source.line_size, source.line_size))
    pixels = tone_map.to_bt709(memoryview(codes).cast("H"), transfer, primaries)
    mapped = VideoFrame(frame.width, frame.height, "rgb24")
    target, row = mapped.planes[0], _BYTES_A_PIXEL * frame.width
    rows = (pixels[at : at + row].ljust(target.line_size, b"\0") for at in range(0, len(pixels), row))
    target.update(b"".join(rows))
    return mapped


def _resized(frame: VideoFrame, size: str, pixels: str, turns: list[Filter] | None = None) -> VideoFrame:
    try:
        return _filtered(frame, size, pixels, turns or [])
    except FFmpegError:
        # Some matrices of ITU-T H.273 can't be converted from: slightly wrong colours are better than none.
        frame.colorspace = _UNSPECIFIED
        return _filtered(frame, size, pixels, turns or [])


def _filtered(frame: VideoFrame, size: str, pixels: str, turns: list[Filter]) -> VideoFrame:
    # JPEG means BT.601 in full range. High definition that doesn't say which matrix it has is BT.709.
    unsaid = frame.colorspace == _UNSPECIFIED and frame.height >= _HIGH_DEFINITION
    matrix = "in_color_matrix=bt709:" if unsaid else ""
    graph = av.filter.Graph()
    graph.threads = 1
    graph.link_nodes(
        graph.add(
            "buffer",
            video_size=f"{frame.width}x{frame.height}",
            pix_fmt=frame.format.name,
            time_base="1/1",
            colorspace=str(frame.colorspace),
            range=str(frame.color_range),
        ),
        graph.add("scale", f"{size}:flags=area:{matrix}out_color_matrix=bt601:out_range=pc"),
        graph.add("format", pixels),
        *(graph.add(name, argument or None) for name, argument in turns),
        graph.add("buffersink"),
    )
    graph.configure()
    graph.vpush(frame)
    return graph.vpull()


def jpeg(picture: VideoFrame, quality: int = QUALITY) -> bytes:
    """Return a result of `shown` as JPEG."""
    # Without `bitexact` each picture carries a comment with the encoder's version.
    options = {"qmin": str(quality), "qmax": str(quality), "flags": "+bitexact"}
    return _encoded(picture, "mjpeg", "yuvj420p", options)


def webp(picture: VideoFrame) -> bytes:
    """Return a result of `shown` as WebP."""
    graph = av.filter.Graph()
    graph.threads = 1
    graph.link_nodes(
        graph.add_buffer(template=None, width=picture.width, height=picture.height, format=picture.format,
                         time_base=Fraction(1)),
        graph.add("scale", "out_range=tv"),
        graph.add("format", "yuv420p"),
        graph.add("buffersink"),
    )  # fmt: skip
    graph.configure()
    graph.vpush(picture)
    return _encoded(graph.vpull(), "libwebp", "yuv420p", {"quality": WEBP_QUALITY, "compression_level": WEBP_EFFORT})


def _encoded(picture: VideoFrame, codec: str, pixels: str, options: dict[str, str]) -> bytes:
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, pixels
    encoder.time_base = Fraction(1)
    encoder.sample_aspect_ratio = Fraction(1)
    encoder.thread_count = 1
    encoder.options = options
    picture.pts = 0
    return b"".join(bytes(packet) for packet in (*encoder.encode(picture), *encoder.encode(None)))
