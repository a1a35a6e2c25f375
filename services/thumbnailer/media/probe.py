"""Open a video file and check that it is a film. Part of the confined child: every byte here is foreign."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypedDict

import av

# PyAV imports these when it first meets a subtitle track; by then this process can't open a file any more.
import av.subtitles.codeccontext
import av.subtitles.stream
from av.stream import Discard, Disposition

from services.thumbnailer import domain
from services.thumbnailer.media.containers import BOXED, check_whole, sniff
from services.thumbnailer.media.errors import UnusableFileError
from services.thumbnailer.media.picture_choice import first_picture, packets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av.container import InputContainer
    from av.stream import Stream
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Old and exotic decoders have the most memory errors: only these are ever run, and none for sound.
VIDEO_DECODERS: Final = {
    "h264": "h264",
    "hevc": "hevc",
    "vp8": "vp8",
    "vp9": "vp9",
    "av1": "libdav1d,av1",
    "mpeg1video": "mpeg1video",
    "mpeg2video": "mpeg2video",
    "mpeg4": "mpeg4",
    "h263": "h263",
    "prores": "prores",
    "dnxhd": "dnxhd",
    "mjpeg": "mjpeg",
}
MIN_ROOM: Final = 16 * 2**20


class Job(TypedDict):
    """The job that the parent passes as JSON."""

    parent_pid: int
    cpu_sec: int
    memory_bytes: int
    answer_bytes: int
    max_pixels: int
    max_duration_sec: int
    niceness: int
    kinds: list[str]


@dataclass(frozen=True, slots=True)
class Film:
    """An open film of which a picture can be decoded."""

    container: InputContainer
    stream: VideoStream
    kind: str
    """Of its container."""
    duration_sec: float
    first: VideoFrame
    """The picture where the thumbnail is looked for first."""
    max_pixels: int


@contextmanager
def open_film(fd: int, job: Job) -> Iterator[Film]:
    """Open a film by its descriptor, and check that it can be shown.

    Raises:
        UnusableFileError: the file can't be used.
        OSError: it could not be read.
        MemoryError: it needs more than is allowed.
    """
    size, kind = _check_file(fd)
    film = _film(fd, size, kind, job)
    try:
        yield film
    finally:
        film.container.close()


@contextmanager
def open_undecoded(fd: int, max_pixels: int) -> Iterator[InputContainer]:
    """Open a film by its descriptor for its packets; no picture is decoded.

    Raises:
        UnusableFileError: it is no film, or a part of it is missing.
        OSError: it could not be read.
        MemoryError: it needs more than is allowed.
    """
    size, kind = _check_file(fd)
    container = _open(fd, kind, max_pixels, obey_edits=True)
    try:
        if not _films(container):
            raise UnusableFileError("NO_VIDEO_TRACK")
        _check_samples(container, size)
        yield container
    finally:
        container.close()


def _check_file(fd: int) -> tuple[int, str]:
    """Return size and container of a file that is whole."""
    # Parts of FFmpeg report a failed allocation as a damaged file: fail here if there is hardly any memory.
    bytearray(MIN_ROOM)
    size = os.fstat(fd).st_size
    kind = sniff(os.pread(fd, 1024, 0))
    check_whole(fd, size, kind)
    return size, kind


def _film(fd: int, size: int, kind: str, job: Job) -> Film:
    try:
        return _checked(fd, size, kind, job)
    except UnusableFileError as error:
        if error.code != domain.NO_PICTURE or kind not in BOXED:
            raise
    # FFmpeg drops all samples if the only edit has no duration; browsers show them.
    os.lseek(fd, 0, os.SEEK_SET)
    return _checked(fd, size, kind, job, obey_edits=False)


def _checked(fd: int, size: int, kind: str, job: Job, *, obey_edits: bool = True) -> Film:
    container = _open(fd, kind, job["max_pixels"], obey_edits=obey_edits)
    try:
        stream = _video_stream(container)
        context = stream.codec_context
        if not 0 < context.width * context.height <= job["max_pixels"]:
            raise UnusableFileError("UNSUPPORTED_RESOLUTION")
        _check_samples(container, size)
        read_only(container, [stream])
        duration = container.duration / av.time_base if container.duration else _measured_duration(container, stream)
        if duration > job["max_duration_sec"]:
            raise UnusableFileError("DAMAGED")
        first = first_picture(container, stream, domain.thumbnail_times(duration)[0], job["max_pixels"])
    except BaseException:
        container.close()
        raise
    return Film(container, stream, kind, max(duration, 0.0), first, job["max_pixels"])


def read_only(container: InputContainer, wanted: Sequence[Stream]) -> None:
    """Have the packets of these tracks read, and all others skipped."""
    indexes = {stream.index for stream in wanted}
    for stream in container.streams:
        stream.discard = Discard.default if stream.index in indexes else Discard.all


def _open(fd: int, kind: str, max_pixels: int, *, obey_edits: bool) -> InputContainer:
    """Open with the demuxer for the recognised container, by descriptor, so that no other file can be opened."""
    options = {
        "fd": str(fd),
        "protocol_whitelist": "fd",
        "codec_whitelist": ",".join(VIDEO_DECODERS.values()),
        "max_pixels": str(max_pixels),
        "threads": "1",
    }
    return av.open(
        "fd:",
        mode="r",
        format="mov" if kind in BOXED else "matroska",
        options=options if obey_edits else options | {"advanced_editlist": "0"},
        metadata_errors="replace",
    )


def _films(container: InputContainer) -> list[VideoStream]:
    """Return the tracks of pictures that are neither cover art nor stills."""
    no_film = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    return [stream for stream in container.streams.video if not stream.disposition & no_film]


def _video_stream(container: InputContainer) -> VideoStream:
    """Return the film: the default track, or else the first that is neither cover art nor a still."""
    found = _films(container)
    if not found:
        raise UnusableFileError("NO_VIDEO_TRACK")
    film = next((stream for stream in found if stream.disposition & Disposition.default), found[0])
    # Contrary to its type stubs, PyAV has no context if FFmpeg has no decoder.
    context: VideoCodecContext | None = film.codec_context
    if context is None:
        raise UnusableFileError("UNSUPPORTED_CODEC")
    if context.codec.canonical_name not in VIDEO_DECODERS:
        raise UnusableFileError("UNSUPPORTED_CODEC")
    return film


def _check_samples(container: InputContainer, size: int) -> None:
    """Check that the last sample of each track is in the file: an `mdat` "to the end of the file" hides a cut."""
    for stream in container.streams:
        entries = stream.index_entries
        if len(entries) and (last := entries[len(entries) - 1]).pos + last.size > size:
            raise UnusableFileError("TRUNCATED")


def _measured_duration(container: InputContainer, stream: VideoStream) -> float:
    """Return the seconds from the first packet to the end of the last, for recordings without a duration."""
    first: int | None = None
    end = 0
    for packet in packets(container, stream):
        if packet.pts is not None:
            first = packet.pts if first is None else min(first, packet.pts)
            end = max(end, packet.pts + (packet.duration or 0))
    return float((end - (first or 0)) * (stream.time_base or 0))
