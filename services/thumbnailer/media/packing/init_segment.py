"""Read the initialisation segment of a fragmented MP4: its tracks, and the MIME type that a player asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mp4.boxes import Box, children, need, only
from mp4.edit_list import read_edits
from services.thumbnailer.media.packing.codec_strings import codec_string
from services.thumbnailer.media.packing.errors import PackingError

MAX_TRACKS: Final = 2


@dataclass(frozen=True, slots=True)
class Track:
    """What fragments leave out about a track."""

    id: int
    is_video: bool
    timescale: int
    media_time: int
    """Media time at the beginning of the film: what comes before is for the decoder only."""
    codec: str
    default_duration: int
    default_flags: int


@dataclass(frozen=True, slots=True)
class InitSegment:
    """`ftyp` and `moov`."""

    data: bytes
    tracks: dict[int, Track]
    video: Track

    @property
    def mime_type(self) -> str:
        """Return the type with the codecs of all tracks, pictures first."""
        tracks = sorted(self.tracks.values(), key=lambda track: not track.is_video)
        return f'video/mp4; codecs="{", ".join(track.codec for track in tracks)}"'


def parse_init(data: bytes, moov: Box) -> InitSegment:
    """Return an initialisation segment whose bytes are `data`, `moov` included.

    Raises:
        PackingError: there is not exactly one video track and at most one other, or a track has no timescale.
        NeedsTranscodingError: MediaSource does not know a codec.
        UnsupportedMediaError: a box is damaged or missing.
    """
    boxes = children(moov.body)
    defaults = {box.number(4): box for box in children(need(boxes, b"mvex").body) if box.kind == b"trex"}
    tracks = [_track(box, defaults) for box in boxes if box.kind == b"trak"]
    videos = [track for track in tracks if track.is_video]
    if len(videos) != 1 or len(tracks) > MAX_TRACKS or len({track.id for track in tracks}) != len(tracks):
        raise PackingError("not one track of pictures, and one of sound")
    return InitSegment(data, {track.id: track for track in tracks}, videos[0])


def _track(trak: Box, defaults: dict[int, Box]) -> Track:
    boxes = children(trak.body)
    header, media = need(boxes, b"tkhd"), children(need(boxes, b"mdia").body)
    media_header, handler = need(media, b"mdhd"), need(media, b"hdlr")
    number = header.number(20 if header.version else 12)
    timescale = media_header.number(20 if media_header.version else 12)
    if not timescale or number not in defaults:
        raise PackingError("a track has no timescale or no defaults")
    table = children(need(children(need(media, b"minf").body), b"stbl").body)
    description = need(table, b"stsd")
    entries = children(description.part(8, len(description.body) - 8))
    if len(entries) != 1:
        raise PackingError("a track has several descriptions")
    return Track(
        id=number,
        is_video=bytes(handler.part(8, 4)) == b"vide",
        timescale=timescale,
        media_time=_media_time(boxes),
        codec=codec_string(entries[0]),
        default_duration=defaults[number].number(12),
        default_flags=defaults[number].number(20),
    )


def _media_time(boxes: list[Box]) -> int:
    """Return the media time of the first edit that shows something: players of MediaSource heed no other."""
    edits = only(boxes, b"edts")
    if edits is None:
        return 0
    times = (edit.media_time for edit in read_edits(need(children(edits.body), b"elst")))
    return next((time for time in times if time is not None), 0)
