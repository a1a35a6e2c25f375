"""Opens one hostile file: sniffs, probes and decodes a picture of it, in a process that may do nothing else.

`media.py` runs this file by its path in an isolated interpreter. It imports nothing of Marquee that does I/O, gets the
video open and never its name, answers with one JSON object on standard output, and knows codes of failures only: words
are the parent's business. The parent distrusts everything it answers.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

import av

# PyAV imports these when it first meets a subtitle track; by then this process can't open a file any more.
import av.subtitles.codeccontext
import av.subtitles.stream
from av.error import FFmpegError
from av.stream import Discard, Disposition

# An isolated interpreter finds nothing beside this file by itself, and ignores PYTHONPATH, which an image sets.
sys.path.append(str(Path(__file__).resolve().parents[2]))
sys.path.append(str(Path(__file__).resolve().parents[2] / "libs"))

from sandbox.confine import Policy
from sandbox.confine import confine as confine_process
from sandbox.errors import SandboxError
from sandbox.limits import Limits
from services.thumbnailer import domain
from services.thumbnailer.picture_choice import Refused, choose_picture, packets
from services.thumbnailer.picture_output import is_quarter_turn, jpeg_of, turns_of

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

# Old and exotic decoders are where memory errors live: only these are ever run, and none for sound.
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
SOURCE, ANSWER = 0, 1
"""Descriptors: the file is standard input, the answer is standard output, itself a file."""
MIN_ROOM: Final = 16 * 2**20
MAX_BOXES: Final = 100_000


class Job(TypedDict):
    """What the parent asks for."""

    parent_pid: int
    cpu_sec: int
    memory_bytes: int
    answer_bytes: int
    max_pixels: int
    max_duration_sec: int
    width: int


# --- Containers ----------------------------------------------------------------------------------

_BOXED = {"mp4", "quicktime"}
_PICTURE_BRANDS = set(b"avif avis heic heix heim heis hevc hevx mif1 msf1".split()) | {b"crx "}
_FIRST_BOXES = set(b"ftyp styp moov mdat moof sidx free skip wide pnot pdin uuid".split())
_MEDIA_BOXES = {b"mdat", b"moof"}
_BOX_HEADER, _LARGE_BOX_HEADER = 8, 16
_BOX_NAME = re.compile(rb"[\x20-\x7e\xa9]{4}")
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_TS_PACKET = 188


def sniff(head: bytes) -> str:
    """What container the first 1024 bytes or so of a file begin: `mp4`, `quicktime`, `webm` or `matroska`.

    Names prove nothing, and FFmpeg's own guessing knows playlists and scripts, which make it open more files.

    Raises:
        Refused: NOT_A_VIDEO or UNSUPPORTED_CONTAINER.
    """
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in _PICTURE_BRANDS:
            raise Refused("NOT_A_VIDEO")
        return "quicktime" if brand == b"qt  " else "mp4"
    if head[4:8] in _FIRST_BOXES:
        # Before ISO/IEC 14496-12 there was no `ftyp`; what lacks it is QuickTime, but for segments of MP4.
        return "mp4" if head[4:8] in {b"styp", b"moof", b"sidx"} else "quicktime"
    if head.startswith(_EBML):
        doctype = _ebml_doctype(head)
        if doctype in {"webm", "matroska"}:
            return doctype
        raise Refused("UNSUPPORTED_CONTAINER")
    if _is_other_video(head):
        raise Refused("UNSUPPORTED_CONTAINER")
    raise Refused("NOT_A_VIDEO")


def _is_other_video(head: bytes) -> bool:
    """AVI, FLV, Ogg, ASF, MPEG program stream, RealMedia, MXF, MPEG transport stream."""
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return True
    if head.startswith((b"FLV\x01", b"OggS", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"\x00\x00\x01\xba", b".RMF")):
        return True
    if head.startswith(b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02"):
        return True
    return len(head) > 2 * _TS_PACKET and {head[0], head[_TS_PACKET], head[2 * _TS_PACKET]} == {0x47}


def _vint(data: bytes, at: int, *, keep_marker: bool) -> tuple[int, int]:
    """An EBML variable-size integer (RFC 8794, section 4) and where it ends; all ones, "unknown", is -1.

    Raises:
        Refused: DAMAGED, as there is none at that place.
    """
    if at >= len(data) or data[at] == 0:
        raise Refused("DAMAGED")
    length = 9 - data[at].bit_length()
    raw = data[at : at + length]
    if len(raw) < length:
        raise Refused("DAMAGED")
    value = int.from_bytes(raw, "big")
    if keep_marker:
        return value, at + length
    mask = (1 << (7 * length)) - 1
    return (-1 if value & mask == mask else value & mask), at + length


def _ebml_doctype(head: bytes) -> str:
    """The DocType element of an EBML header (RFC 8794, section 11.2.6)."""
    size, at = _vint(head, len(_EBML), keep_marker=False)
    end = min(len(head), at + size)
    while at < end:
        element, at = _vint(head, at, keep_marker=True)
        size, at = _vint(head, at, keep_marker=False)
        if element == 0x4282:  # noqa: PLR2004 - the id of DocType
            return head[at : at + min(size, 16)].rstrip(b"\0").decode("ascii", "replace")
        at += max(size, 0)
    return ""


def check_whole(fd: int, size: int, kind: str) -> None:
    """Refuses a file of which a part is missing.

    Raises:
        Refused: TRUNCATED, or NOT_A_VIDEO where what follows the first box is no container at all.
    """
    if kind in _BOXED:
        _check_boxes(fd, size)
    else:
        _check_segment(fd, size)


def _check_boxes(fd: int, size: int) -> None:
    """Walks the top level of a file of boxes (ISO/IEC 14496-12, section 4.2): each must end inside the file.

    Junk behind a complete film is tolerated, as players do.
    """
    seen: set[bytes] = set()
    at = 0
    for _ in range(MAX_BOXES):
        if (box := _box(fd, at, size)) is None:
            break
        name, length = box
        complete = b"moov" in seen and not seen.isdisjoint(_MEDIA_BOXES)
        if complete and (length == 0 or (at + length > size and name != b"moov" and name not in _MEDIA_BOXES)):
            return
        if length == 0:
            raise Refused("NOT_A_VIDEO" if seen <= {b"ftyp"} else "DAMAGED")
        if at + length > size:
            raise Refused("TRUNCATED")
        seen.add(name)
        at += length
    if b"moov" not in seen or seen.isdisjoint(_MEDIA_BOXES):
        raise Refused("TRUNCATED")


def _box(fd: int, at: int, size: int) -> tuple[bytes, int] | None:
    """Name and whole length of the box at an offset; length 0 if none begins there, None at the end."""
    header = os.pread(fd, _LARGE_BOX_HEADER, at)
    if len(header) < _BOX_HEADER:
        return None
    length, name, smallest = int.from_bytes(header[:4], "big"), header[4:8], _BOX_HEADER
    if length == 1:  # a 64-bit size follows
        if len(header) < _LARGE_BOX_HEADER:
            return None
        length, smallest = int.from_bytes(header[8:], "big"), _LARGE_BOX_HEADER
    elif length == 0:  # reaches to the end of the file
        length = size - at
    plausible = length >= smallest and _BOX_NAME.fullmatch(name) is not None
    return name, length if plausible else 0


def _check_segment(fd: int, size: int) -> None:
    """A Matroska segment must end inside the file, if it says how long it is; live recordings don't."""
    head = os.pread(fd, 4096, 0)
    length, at = _vint(head, len(_EBML), keep_marker=False)
    at += max(length, 0)
    if head[at : at + len(_SEGMENT)] != _SEGMENT:
        raise Refused("TRUNCATED" if at + len(_SEGMENT) > size else "DAMAGED")
    length, at = _vint(head, at + len(_SEGMENT), keep_marker=False)
    if at + length > size:
        raise Refused("TRUNCATED")


# --- Facts and picture ---------------------------------------------------------------------------


def examine(fd: int, job: Job) -> dict[str, object]:
    """Facts and thumbnail of the file that a descriptor is open on.

    Raises:
        Refused: it gives none.
        OSError: it could not be read.
        MemoryError: it needs more than is allowed.
    """
    # Some of FFmpeg takes a failed allocation for a damaged file: without any room it is better not asked.
    bytearray(MIN_ROOM)
    size = os.fstat(fd).st_size
    kind = sniff(os.pread(fd, 1024, 0))
    check_whole(fd, size, kind)
    try:
        return _examined(fd, size, kind, job)
    except Refused as refused:
        if refused.code != domain.NO_PICTURE or kind not in _BOXED:
            raise
    # FFmpeg drops all samples where the only edit has no duration; browsers show them.
    os.lseek(fd, 0, os.SEEK_SET)
    return _examined(fd, size, kind, job, obey_edits=False)


def _examined(fd: int, size: int, kind: str, job: Job, *, obey_edits: bool = True) -> dict[str, object]:
    with _open(fd, kind, job["max_pixels"], obey_edits=obey_edits) as container:
        stream = _video_stream(container)
        context = stream.codec_context
        if not 0 < context.width * context.height <= job["max_pixels"]:
            raise Refused("UNSUPPORTED_RESOLUTION")
        _check_samples(container, size)
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        duration = container.duration / av.time_base if container.duration else _measured_duration(container, stream)
        if duration > job["max_duration_sec"]:
            raise Refused("DAMAGED")
        frame = choose_picture(container, stream, domain.thumbnail_times(duration), job["max_pixels"])
        width, height = context.width, context.height
        if is_quarter_turn(turns_of(frame)):
            width, height = height, width
        return {
            "container": kind,
            "duration_sec": max(duration, 0.0),
            "video_codec": context.codec.canonical_name,
            "audio_codec": _audio_codec(container),
            "width": width,
            "height": height,
            "jpeg": base64.b64encode(jpeg_of(frame, stream, job["width"])).decode(),
        }


def _open(fd: int, kind: str, max_pixels: int, *, obey_edits: bool) -> InputContainer:
    """Opens with the one demuxer that was sniffed; through the descriptor, so no other file can be meant."""
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
        format="mov" if kind in _BOXED else "matroska",
        options=options if obey_edits else options | {"advanced_editlist": "0"},
        metadata_errors="replace",
    )


def _video_stream(container: InputContainer) -> VideoStream:
    """The film: the default track, or else the first that is neither cover art nor a still."""
    no_film = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    films = [stream for stream in container.streams.video if not stream.disposition & no_film]
    if not films:
        raise Refused("NO_VIDEO_TRACK")
    film = next((stream for stream in films if stream.disposition & Disposition.default), films[0])
    # PyAV gives no context, against its type stubs, where FFmpeg knows no decoder.
    context: VideoCodecContext | None = film.codec_context
    if context is None:
        raise Refused("UNSUPPORTED_CODEC")
    if context.codec.canonical_name not in VIDEO_DECODERS:
        raise Refused("UNSUPPORTED_CODEC")
    return film


def _audio_codec(container: InputContainer) -> str | None:
    for stream in container.streams.audio:
        context: AudioCodecContext | None = stream.codec_context  # see _video_stream
        return context.codec.canonical_name if context is not None else "unknown"
    return None


def _check_samples(container: InputContainer, size: int) -> None:
    """The last sample of each track must lie in the file: an `mdat` "to the end of the file" hides a cut."""
    for stream in container.streams:
        entries = stream.index_entries
        if len(entries) and (last := entries[len(entries) - 1]).pos + last.size > size:
            raise Refused("TRUNCATED")


def _measured_duration(container: InputContainer, stream: VideoStream) -> float:
    """Seconds from the first packet to the end of the last, for recordings that don't say."""
    first: int | None = None
    end = 0
    for packet in packets(container, stream):
        if packet.pts is not None:
            first = packet.pts if first is None else min(first, packet.pts)
            end = max(end, packet.pts + (packet.duration or 0))
    return float((end - (first or 0)) * (stream.time_base or 0))


# --- Confinement ---------------------------------------------------------------------------------


def confine(job: Job) -> bool:
    """Leave this process its standard input and output, memory and time; return whether the network is out of reach.

    Raises:
        SandboxError: it can't be confined.
    """
    # FFmpeg duplicates the descriptor that it reads.
    limits = Limits(job["memory_bytes"], job["cpu_sec"], file_bytes=job["answer_bytes"], open_files=4)
    return confine_process(Policy(limits, niceness=10), job["parent_pid"]).is_isolated


def is_failure_to_read(error: OSError, fd: int) -> bool:
    """Whether the store is to blame for an error, so that another try may help, or else the file.

    FFmpeg says EIO of damaged files too: then the places where indexes are, the first and last 64 MiB, are
    read once more. What this process is not permitted to do, the file made FFmpeg try.
    """
    if not isinstance(error, FFmpegError):
        return True
    if error.errno != errno.EIO:
        return not isinstance(error, PermissionError)
    size, reach = os.fstat(fd).st_size, 64 * 2**20
    try:
        for start in (0, max(0, size - reach)):
            for at in range(start, start + reach, 2**20):
                os.pread(fd, 2**20, at)
    except OSError:
        return True
    return False


def main() -> None:
    """Does the job in the first argument for the file on standard input, and ends."""
    job: Job = json.loads(sys.argv[1])
    try:
        isolated = confine(job)
        answer = examine(SOURCE, job) | {"isolated": isolated}
    except Refused as refused:
        answer = {"failure": refused.code}
    except SandboxError:
        # Of the server, not of the file. Its log said at the start what its kernel lacks.
        answer = {"failure": "SERVER_BUSY"}
    except MemoryError:
        answer = {"failure": "MEMORY_LIMIT"}
    except OSError as error:
        answer = {"failure": "FILE_UNREADABLE" if is_failure_to_read(error, SOURCE) else "DAMAGED"}
    except FFmpegError:
        answer = {"failure": "DAMAGED"}
    os.write(ANSWER, json.dumps(answer).encode())
    # Skips FFmpeg's cleaning up: a heap that a hostile file has damaged is left alone.
    os._exit(0)


if __name__ == "__main__":
    main()
