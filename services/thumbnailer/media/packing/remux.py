"""Copy the packets of a film into fragmented MP4. Part of the confined child: every byte here is foreign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import av

from services.thumbnailer.media.packing.errors import NeedsTranscodingError

if TYPE_CHECKING:
    from av.codec.context import CodecContext
    from av.container import InputContainer
    from av.stream import Stream

VIDEO_CODECS: Final = frozenset({"h264", "hevc", "vp9", "av1"})
AUDIO_CODECS: Final = frozenset({"aac", "mp3", "opus", "flac", "ac3", "eac3"})
"""What MediaSource plays out of MP4, in some browser."""
FRAGMENT_SEC: Final = 1
_HEADER_ROOM: Final = 64 * 2**10
"""For `moof`, beside the media that FFmpeg counts."""


class Output(Protocol):
    """Where the fragments go, in order: a pipe will do."""

    def write(self, data: bytes, /) -> int:
        """Take bytes."""


def remux(source: InputContainer, output: Output, max_bytes: int) -> None:
    """Write the first track of pictures and the first of sound, in fragments of about `max_bytes` at most.

    A fragment begins at each key frame, and where one would last longer than a second or be too large.

    Raises:
        NeedsTranscodingError: a codec is none of these, or there are no pictures.
        av.error.FFmpegError: the film can't be read, or the output not written.
    """
    streams = _streams(source)
    options = {
        # The base of offsets and the delayed index are what MediaSource needs; signed offsets keep sound in step.
        "movflags": "+frag_keyframe+delay_moov+default_base_moof+negative_cts_offsets+skip_trailer",
        "frag_duration": str(FRAGMENT_SEC * 1_000_000),
        "frag_size": str(max_bytes - _HEADER_ROOM),
        # The same film gives the same bytes, so that an interrupted packer can go on.
        "fflags": "+bitexact",
    }
    with av.open(output, "w", format="mp4", options=options) as target:
        # Opaque: nothing is encoded, so no encoder is looked for.
        copies = {stream.index: target.add_stream_from_template(stream, opaque=True) for stream in streams}
        for stream in streams:
            if _codec(stream) == "hevc":
                # Safari plays no other spelling.
                copies[stream.index].codec_context.codec_tag = "hvc1"
        for packet in source.demux(*streams):
            if packet.dts is None:
                continue
            packet.stream = copies[packet.stream.index]
            target.mux_one(packet)


def _streams(source: InputContainer) -> list[Stream]:
    video, audio = source.streams.best("video"), source.streams.best("audio")
    if video is None or _codec(video) not in VIDEO_CODECS:
        raise NeedsTranscodingError("pictures in a codec that is not for browsers")
    if audio is None:
        return [video]
    if _codec(audio) not in AUDIO_CODECS:
        raise NeedsTranscodingError("sound in a codec that is not for browsers")
    return [video, audio]


def _codec(stream: Stream) -> str:
    """Return the name of the codec, whichever decoder there is for it; empty where FFmpeg has none."""
    # Contrary to its type stubs, PyAV has no context then.
    context: CodecContext | None = stream.codec_context
    return context.codec.canonical_name if context else ""
