"""Opens one hostile file: sniffs, probes and decodes a picture of it, in a process that may do nothing else.

`media.py` runs this file by its path in an isolated interpreter, which finds no file beside it: so this is
one file, imports nothing of Marquee but `sandbox`, and starts fast. It gets the video open and never its name,
answers with one JSON object on standard output, and knows codes of failures only: words are the parent's business.
The parent distrusts everything it answers.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import re
import struct
import sys
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict

import av
import av.filter

# PyAV imports these when it first meets a subtitle track; by then this process can't open a file any more.
import av.subtitles.codeccontext
import av.subtitles.stream
from av.error import FFmpegError, InvalidDataError
from av.stream import Discard, Disposition

# An isolated interpreter ignores PYTHONPATH, by which an image finds this folder.
sys.path.append(str(Path(__file__).resolve().parents[2] / "libs"))

from sandbox.confine import Policy
from sandbox.confine import confine as confine_process
from sandbox.errors import SandboxError
from sandbox.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.codeccontext import AudioCodecContext
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
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
MAX_PACKETS_A_TRY: Final = 1500
"""About a minute of film: a stream without key frames must not be read to its end in vain."""
MAX_SHAPE: Final = 4
"""A thumbnail is at most this many times as high as wide; a film narrower than that is squeezed."""
QUALITY: Final = 4
"""The JPEG quantiser, of 1 (best) to 31."""


class Job(TypedDict):
    """What the parent asks for."""

    parent_pid: int
    cpu_sec: int
    memory_bytes: int
    answer_bytes: int
    max_pixels: int
    max_duration_sec: int
    width: int
    thumbnail_max_sec: float
    thumbnail_fraction: float


class Refused(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """The file gives nothing; the code says why."""

    def __init__(self, code: str) -> None:
        """With a code that `domain.py` defines."""
        super().__init__(code)
        self.code = code


# --- Containers ----------------------------------------------------------------------------------

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
    if kind in {"mp4", "quicktime"}:
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
    with _open(fd, kind, job["max_pixels"]) as container:
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
        target = min(job["thumbnail_max_sec"], max(duration, 0.0) * job["thumbnail_fraction"])
        frame = _picture(container, stream, target, job["max_pixels"])
        turns = _turns(frame)
        width, height = context.width, context.height
        if _is_quarter_turn(turns):
            width, height = height, width
        return {
            "container": kind,
            "duration_sec": max(duration, 0.0),
            "video_codec": context.codec.canonical_name,
            "audio_codec": _audio_codec(container),
            "width": width,
            "height": height,
            "jpeg": base64.b64encode(_jpeg(_scaled(frame, stream, turns, job["width"]))).decode(),
        }


def _open(fd: int, kind: str, max_pixels: int) -> InputContainer:
    """Opens with the one demuxer that was sniffed; through the descriptor, so no other file can be meant."""
    return av.open(
        "fd:",
        mode="r",
        format="mov" if kind in {"mp4", "quicktime"} else "matroska",
        options={
            "fd": str(fd),
            "protocol_whitelist": "fd",
            "codec_whitelist": ",".join(VIDEO_DECODERS.values()),
            "max_pixels": str(max_pixels),
            "threads": "1",
        },
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
    for packet in _packets(container, stream):
        if packet.pts is not None:
            first = packet.pts if first is None else min(first, packet.pts)
            end = max(end, packet.pts + (packet.duration or 0))
    return float((end - (first or 0)) * (stream.time_base or 0))


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Packets up to the end or the first place that can't be parsed; an empty one, to flush, comes last.

    Raises:
        Refused: PROTECTED (ISO/IEC 23001-7); decoding that would only show noise.
    """
    try:
        for packet in container.demux(stream):
            if packet.has_sidedata("encryption_info"):
                raise Refused("PROTECTED")
            yield packet
    except InvalidDataError:
        return


def _picture(container: InputContainer, stream: VideoStream, target_sec: float, max_pixels: int) -> VideoFrame:
    """The key frame at or before a time, or failing that the first picture from there, or from the start.

    Raises:
        Refused: NO_PICTURE or PROTECTED.
    """
    context = stream.codec_context
    context.thread_count = 1
    context.options = {"max_pixels": str(max_pixels)}
    offset = (stream.start_time or 0) + (round(target_sec / stream.time_base) if stream.time_base else 0)
    for place, key_frames_only in ((offset, True), (offset, False), (stream.start_time or 0, False)):
        if _seek(container, stream, place):
            packets = islice(_packets(container, stream), MAX_PACKETS_A_TRY)
            frame = _first_key_frame(context, packets) if key_frames_only else _first_frame(context, packets)
            if frame is not None:
                return frame
    raise Refused("NO_PICTURE")


def _seek(container: InputContainer, stream: VideoStream, offset: int) -> bool:
    try:
        container.seek(offset, stream=stream)
    except MemoryError:
        raise
    except (FFmpegError, OverflowError):
        return False
    return True


def _first_key_frame(context: VideoCodecContext, packets: Iterator[Packet[VideoStream]]) -> VideoFrame | None:
    """Decodes key packets one by one, draining the decoder after each so that it need not see the next.

    The choice is made by packet and not by the decoder's `skip_frame`, which drops the second field of an
    interlaced key picture.
    """
    for packet in packets:
        if packet.is_keyframe and packet.size:
            for piece in (packet, None):
                for frame in _decoded(context, piece):
                    return frame
            _reset(context)
    return None


def _first_frame(context: VideoCodecContext, packets: Iterator[Packet[VideoStream]]) -> VideoFrame | None:
    _reset(context)
    for packet in packets:
        for frame in _decoded(context, packet):
            return frame
    return next(iter(_decoded(context, None)), None)


def _reset(context: VideoCodecContext) -> None:
    """Makes a drained decoder take packets again; PyAV opens it only with the first."""
    if context.is_open:
        context.flush_buffers()


def _decoded(context: VideoCodecContext, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    """What a packet, or None at the end, gives; nothing if it is broken."""
    try:
        return context.decode(packet)
    except MemoryError:
        raise
    except FFmpegError:
        return []


_QUARTER_TURNS = {
    (True, False): "clock",
    (False, True): "cclock",
    (True, True): "cclock_flip",
    (False, False): "clock_flip",
}
"""Directions of FFmpeg's `transpose`, by the signs of the matrix's elements b and c."""


def _turns(frame: VideoFrame) -> list[tuple[str, str]]:
    """Filters that show a frame as its display matrix (ISO/IEC 14496-12, section 8.3.2) wants.

    Only what cameras write is known: quarter turns and mirrors.
    """
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return []
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data))
    if abs(b) + abs(c) > abs(a) + abs(d):
        return [("transpose", _QUARTER_TURNS[b > 0, c > 0])]
    return [(mirror, "") for mirror, on in (("hflip", a < 0), ("vflip", d < 0)) if on]


def _is_quarter_turn(turns: list[tuple[str, str]]) -> bool:
    return any(name == "transpose" for name, _ in turns)


_UNSPECIFIED = 2
_HIGH_DEFINITION = 720


def _scaled(frame: VideoFrame, stream: VideoStream, turns: list[tuple[str, str]], width: int) -> VideoFrame:
    """The frame in the shape in which a player shows it, `width` pixels wide and an even number high."""
    if frame.width < 1 or frame.height < 1:
        raise Refused("NO_PICTURE")
    aspect = stream.sample_aspect_ratio or Fraction(1)
    shape = Fraction(frame.height, frame.width) / (aspect if aspect > 0 else 1)
    if _is_quarter_turn(turns):
        shape = 1 / shape
    height = max(2, 2 * round(width * min(shape, Fraction(MAX_SHAPE)) / 2))
    size = f"{height}:{width}" if _is_quarter_turn(turns) else f"{width}:{height}"  # before it is turned
    try:
        return _filtered(frame, size, turns)
    except FFmpegError:
        # Some matrices of ITU-T H.273 can't be converted from: slightly wrong colours are better than none.
        frame.colorspace = _UNSPECIFIED
        return _filtered(frame, size, turns)


def _filtered(frame: VideoFrame, size: str, turns: list[tuple[str, str]]) -> VideoFrame:
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
        graph.add("format", "yuvj420p"),
        *(graph.add(name, argument or None) for name, argument in turns),
        graph.add("buffersink"),
    )
    graph.configure()
    graph.vpush(frame)
    return graph.vpull()


def _jpeg(frame: VideoFrame) -> bytes:
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "yuvj420p"
    encoder.time_base = Fraction(1)
    encoder.sample_aspect_ratio = Fraction(1)
    encoder.thread_count = 1
    # Without `bitexact` each thumbnail carries a comment with the encoder's version.
    encoder.options = {"qmin": str(QUALITY), "qmax": str(QUALITY), "flags": "+bitexact"}
    frame.pts = 0
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))


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
