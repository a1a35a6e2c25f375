"""Find a picture of a film that shows something. Part of the confined child: every byte here is foreign."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate, chain, islice
from typing import TYPE_CHECKING, Any, Final

from av.error import FFmpegError, InvalidDataError

from services.thumbnailer.media.errors import UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_PACKETS_A_TRY: Final = 1500
"""Most packets read in search of a key frame, about a minute of film, so that a stream without any is not read to its
end."""
MAX_PACKETS_FURTHER_IN: Final = 50
MAX_FRAMES_IN_SEQUENCE: Final = 300
FRAMES_A_STEP: Final = 10
LOOKING_SEC: Final = 5.0
"""Seconds after which no other picture is tried."""
ENOUGH: Final = 0.1
"""Share of a picture outside its dominant shade that is enough; a logo or a line of text has less."""
PLENTY: Final = 0.5
"""A picture with this share is taken without a look at others."""
CANDIDATES: Final = 4
"""Pictures that are compared, once one of them shows enough."""
CLEARLY_MORE: Final = 1.1
"""How many times as much as the best so far a later picture must show."""
NOTHING: Final = 0.01
"""A smaller share is noise."""
SAME_SHADE: Final = 25
"""Width of one shade, in levels of 256, so that grain does not count as several."""
LEVELS: Final = 256
MEASURED_SIZE: Final = (96, 54)


def first_picture(container: InputContainer, stream: VideoStream, at_sec: float, max_pixels: int) -> VideoFrame:
    """Return the picture at a time in seconds from the start, or failing that the first that can be decoded.

    Args:
        container: the open file.
        stream: the film in it.
        at_sec: where to look.
        max_pixels: what a picture may have at most.

    Raises:
        UnusableFileError: NO_PICTURE or PROTECTED.
    """
    context = stream.codec_context
    context.thread_count = 1
    context.options = {"max_pixels": str(max_pixels)}
    return _picture_at(container, stream, _place(stream, at_sec))


def choose_picture(
    container: InputContainer, stream: VideoStream, times_sec: Sequence[float], first: VideoFrame
) -> VideoFrame:
    """Return the best of several pictures: the one that shows most beside its dominant shade.

    A few candidates are compared; more are looked at only while all of them are black or of one colour. A film in which
    no picture shows anything gets the first one.

    Args:
        container: the open file.
        stream: the film in it.
        times_sec: where to look, in seconds from the start, best first.
        first: the result of `first_picture` for the first of them.
    """
    places = [_place(stream, seconds) for seconds in times_sec]
    until = time.monotonic() + LOOKING_SEC
    best, most, candidates = first, _share_shown(first), 1
    further = chain(
        _key_frames(container, stream, places[1:], {first.pts}),
        # All key frames show nothing: a short film may have only one.
        _frames_from(container, stream, places[0]),
    )
    while not _is_enough(most, candidates) and time.monotonic() < until and (frame := next(further, None)) is not None:
        share = _share_shown(frame)
        candidates += 1
        if share > most * CLEARLY_MORE:
            best, most = frame, share
    return best


def _is_enough(share: float, candidates: int) -> bool:
    return share >= PLENTY or (share >= ENOUGH and candidates >= CANDIDATES)


def packets(container: InputContainer, streams: Any) -> Iterator[Packet[Any]]:
    """Yield packets up to the end or the first place that can't be parsed; an empty one, to flush, comes last.

    Raises:
        UnusableFileError: PROTECTED (ISO/IEC 23001-7); decoding that would only show noise.
    """
    try:
        for packet in container.demux(streams):
            if packet.has_sidedata("encryption_info"):
                raise UnusableFileError("PROTECTED")
            yield packet
    except InvalidDataError:
        return


def _place(stream: VideoStream, seconds: float) -> int:
    return (stream.start_time or 0) + (round(seconds / stream.time_base) if stream.time_base else 0)


def _picture_at(container: InputContainer, stream: VideoStream, place: int) -> VideoFrame:
    """Return the key frame at or before a place, or failing that the first picture from there, or from the start.

    Raises:
        UnusableFileError: NO_PICTURE or PROTECTED.
    """
    context = stream.codec_context
    for at, key_frames_only in ((place, True), (place, False), (stream.start_time or 0, False)):
        if seek(container, stream, at):
            found = islice(packets(container, stream), MAX_PACKETS_A_TRY)
            frame = _first_key_frame(context, found) if key_frames_only else next(_frames(context, found), None)
            if frame is not None:
                return frame
    raise UnusableFileError("NO_PICTURE")


def _key_frames(
    container: InputContainer, stream: VideoStream, places: Sequence[int], seen: set[int | None]
) -> Iterator[VideoFrame]:
    """Yield the key frame at or before each place, without damaged ones and those in `seen`.

    A staged film has holes, and what is decoded there is no picture. Places beyond the index are skipped, because
    FFmpeg would read everything up to them.
    """
    entries = stream.index_entries
    known_until = entries[len(entries) - 1].timestamp if len(entries) else -1
    for place in places:
        if place > known_until or not seek(container, stream, place):
            continue
        found = islice(packets(container, stream), MAX_PACKETS_FURTHER_IN)
        key = next((packet for packet in found if packet.is_keyframe and packet.size), None)
        if key is None or key.pts in seen:
            continue
        seen.add(key.pts)
        _reset(stream.codec_context)
        frame = _first_key_frame(stream.codec_context, iter((key,)))
        if frame is not None and not frame.is_corrupt:
            yield frame


def _frames_from(container: InputContainer, stream: VideoStream, place: int) -> Iterator[VideoFrame]:
    """Yield every tenth of the first pictures from a place on."""
    if seek(container, stream, place):
        frames = _frames(stream.codec_context, packets(container, stream))
        for frame in islice(frames, FRAMES_A_STEP, MAX_FRAMES_IN_SEQUENCE, FRAMES_A_STEP):
            if not frame.is_corrupt:
                yield frame


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """A key frame of a film."""

    pts: int | None
    frame: VideoFrame | None
    """None if it can't be decoded, or is that of the last call."""


def key_frame_before(
    container: InputContainer, stream: VideoStream, place: int, last_pts: int | None
) -> KeyFrame | None:
    """Return the key frame at or before a place; it is not decoded again when its time is `last_pts`."""
    if not seek(container, stream, place):
        return None
    found = islice(packets(container, stream), MAX_PACKETS_FURTHER_IN)
    key = next((packet for packet in found if packet.is_keyframe and packet.size), None)
    if key is None:
        return None
    if key.pts is not None and key.pts == last_pts:
        return KeyFrame(key.pts, None)
    _reset(stream.codec_context)
    return KeyFrame(key.pts, _first_key_frame(stream.codec_context, iter((key,))))


def all_key_frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield the key frames from the start to the end."""
    if seek(container, stream, stream.start_time or 0):
        for packet in packets(container, stream):
            if packet.is_keyframe and packet.size:
                _reset(stream.codec_context)
                if (frame := _first_key_frame(stream.codec_context, iter((packet,)))) is not None:
                    yield frame


def all_frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield all frames from the start to the end."""
    if seek(container, stream, stream.start_time or 0):
        yield from _frames(stream.codec_context, packets(container, stream))


def seek(container: InputContainer, stream: VideoStream, offset: int) -> bool:
    """Go to the key frame at or before a time in units of the track; return whether that was possible."""
    try:
        container.seek(offset, stream=stream)
    except MemoryError:
        raise
    except (FFmpegError, OverflowError):
        return False
    return True


def _first_key_frame(context: VideoCodecContext, found: Iterator[Packet[VideoStream]]) -> VideoFrame | None:
    """Decode key packets one by one, and drain the decoder after each, so that it needs no following packet.

    The choice is made by packet and not by the decoder's `skip_frame`, which drops the second field of an
    interlaced key picture.
    """
    for packet in found:
        if packet.is_keyframe and packet.size:
            for piece in (packet, None):
                for frame in _decoded(context, piece):
                    return frame
            _reset(context)
    return None


def _frames(context: VideoCodecContext, found: Iterator[Packet[VideoStream]]) -> Iterator[VideoFrame]:
    _reset(context)
    for packet in found:
        yield from _decoded(context, packet)
    yield from _decoded(context, None)


def _reset(context: VideoCodecContext) -> None:
    """Make a drained decoder take packets again; PyAV opens it only with the first."""
    if context.is_open:
        context.flush_buffers()


def _decoded(context: VideoCodecContext, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    """Return the pictures of a packet, or the remaining ones for None; no pictures if the packet is damaged."""
    try:
        return context.decode(packet)
    except MemoryError:
        raise
    except FFmpegError:
        return []


def _share_shown(frame: VideoFrame) -> float:
    """Return the share of a picture, of 0 to 1, that is not of its dominant shade; 0 for one shade and noise."""
    width, height = MEASURED_SIZE
    try:
        grey = frame.reformat(width=width, height=height, format="gray", interpolation="AREA", threads=1).planes[0]
    except MemoryError:
        raise
    except (FFmpegError, ValueError):
        return 1.0  # no reason to look for another one
    rows, line = memoryview(grey), grey.line_size
    counts = Counter(chain.from_iterable(rows[at : at + width] for at in range(0, height * line, line)))
    below = [0, *accumulate(counts[level] for level in range(LEVELS))]
    dominant = max(below[level + SAME_SHADE] - below[level] for level in range(LEVELS - SAME_SHADE + 1))
    share = 1 - dominant / (width * height)
    return share if share >= NOTHING else 0.0
