"""Read, query and trim tracks (ISO/IEC 14496-12, 8.3)."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from mp4.boxes import Box, BoxPart, Container, children, full_box, header_of, need, only
from mp4.columns import TIME_MAX, U32_MAX, Numbers, packed, unpacked
from mp4.edit_list import Edit, read_edits, write_edits
from mp4.errors import UnsupportedMediaError
from mp4.layout import Payload
from mp4.sample_table import Samples, SyncFilter

_ENABLED = 1
_TEXT = {b"text", b"sbtl", b"subt", b"clcp"}
_IN_THIS_FILE = 1


def scaled(time: int, scale: int, to: int) -> int:
    """Convert a time from units of 1/`scale` to units of 1/`to` seconds, rounded to the nearest."""
    return (2 * time * to + scale) // (2 * scale)


@dataclass(frozen=True, slots=True)
class Stretch:
    """An edit and its start time in the movie."""

    start: int
    edit: Edit

    @property
    def end(self) -> int:
        """Its end time in the movie."""
        return self.start + self.edit.duration


@dataclass(frozen=True, slots=True)
class Track:
    """A track of a movie. Edit times are in units of 1/`movie_scale` s, sample times in units of 1/`scale` s."""

    box: Box
    number: int
    """The track id."""
    handler: bytes
    is_enabled: bool
    chapters: tuple[int, ...]
    """Ids of tracks that hold its chapters."""
    scale: int
    samples: Samples
    edits: tuple[Edit, ...]
    movie_scale: int

    @classmethod
    def read(cls, box: Box, movie_scale: int) -> Track:
        """Read a track box.

        Raises:
            UnsupportedMediaError: a box is missing, boxes contradict each other, or the media are in another file.
        """
        boxes = children(box.body)
        header, mdia = need(boxes, b"tkhd"), children(need(boxes, b"mdia").body)
        media_header, minf = need(mdia, b"mdhd"), children(need(mdia, b"minf").body)
        check_references(minf)
        scale = media_header.number(20 if media_header.version else 12)
        if scale == 0:
            raise UnsupportedMediaError("no timescale")
        handler, samples = bytes(need(mdia, b"hdlr").part(8, 4)), Samples.read(need(minf, b"stbl"))
        if handler != b"vide" and not samples.sync:
            # Some writers give sound a sync table without entries. Players take every sample for a sync sample.
            samples = replace(samples, sync=None)
        if handler == b"soun" and samples.sizes.uniform == 1:
            # QuickTime writes this for sound of a fixed rate; the bytes of a sample then depend on its description.
            raise UnsupportedMediaError("sizes of samples that may not be bytes")
        edts, tref = only(boxes, b"edts"), only(boxes, b"tref")
        elst = only(children(edts.body), b"elst") if edts else None
        chap = only(children(tref.body), b"chap") if tref else None
        return cls(
            box=box,
            number=header.number(20 if header.version else 12),
            handler=handler,
            is_enabled=bool(header.number(0) & _ENABLED),
            chapters=tuple(_ids(chap)) if chap else (),
            scale=scale,
            samples=samples,
            edits=tuple(read_edits(elst)) if elst else (),
            movie_scale=movie_scale,
        )

    def rescaled(self, movie_scale: int) -> Track:
        """Return the track with edits in units of another timescale, and with implied edits made explicit.

        Raises:
            UnsupportedMediaError: the duration is above `TIME_MAX`.
        """
        edits = [
            Edit(scaled(edit.duration, self.movie_scale, movie_scale), edit.media_time, edit.dwells)
            for edit in self.edits
        ] or [Edit(0, 0)]
        last = edits[-1]
        if last.duration == 0 and last.media_time is not None:
            left = max(0, self.samples.end - last.media_time)
            edits[-1] = Edit(-(-left * movie_scale // self.scale), last.media_time, last.dwells)
        if sum(edit.duration for edit in edits) > TIME_MAX:
            raise UnsupportedMediaError("impossible duration")
        return replace(self, edits=tuple(edits), movie_scale=movie_scale)

    @property
    def duration(self) -> int:
        """Its duration in units of the movie's timescale."""
        return sum(edit.duration for edit in self.edits)

    def stretches(self) -> Iterator[Stretch]:
        """Yield the edits with their start times in the movie."""
        start = 0
        for edit in self.edits:
            yield Stretch(start, edit)
            start += edit.duration

    def last_key(self, time: int, accept: SyncFilter) -> int | None:
        """Return when the last accepted key frame at or before a time of the movie is shown, or None."""
        shown = [stretch for stretch in self.stretches() if stretch.start <= time and stretch.edit.duration]
        for stretch in reversed(shown):
            begin = stretch.edit.media_time
            if begin is None or stretch.edit.dwells:
                continue
            passed = min(time - stretch.start, stretch.edit.duration - 1)
            sample = self.samples.last_sync(begin + passed * self.scale // self.movie_scale, accept)
            if sample is not None and (shown_at := self.samples.shown_at(sample)) >= begin:
                return stretch.start + scaled(shown_at - begin, self.scale, self.movie_scale)
        return None

    def next_key(self, time: int, accept: SyncFilter) -> int | None:
        """Return when the first accepted key frame after a time of the movie is shown, or None."""
        for stretch in self.stretches():
            begin = stretch.edit.media_time
            if begin is None or stretch.edit.dwells or stretch.end <= time + 1:
                continue
            passed = max(0, time + 1 - stretch.start)
            sample = self.samples.next_sync(begin - (-passed * self.scale // self.movie_scale), accept)
            if sample is None:
                continue
            shown_at = stretch.start + scaled(self.samples.shown_at(sample) - begin, self.scale, self.movie_scale)
            if shown_at < stretch.end:
                return shown_at
        return None

    def since(self, time: int) -> Track | None:
        """Return the track from exactly a time of the movie on, or None if it shows nothing from then on.

        Samples that must be decoded earlier are included, but not shown.
        """
        edits = list(self._edits_since(time))
        while edits and edits[-1].media_time is None:
            edits.pop()
        begins = [edit.media_time for edit in edits if edit.media_time is not None]
        if not begins:
            return None
        first = min(map(self._needed_for, begins))
        zero = self.samples.times.of(first)
        if self.handler in _TEXT and len(begins) == 1 and self.samples.is_simple:
            # An edit may also begin inside a sample, but then FFmpeg shows everything too early by the sample's rest.
            samples = self.samples.since(first).begun(begins[0] - zero)
            edits[-1] = replace(edits[-1], media_time=0)
            return replace(self, samples=samples, edits=tuple(edits))
        # With negative offsets, a picture may be shown before it is "decoded"; no edit may begin there.
        later = max(0, zero - min(begins))
        moved = (
            edit if edit.media_time is None else replace(edit, media_time=edit.media_time - zero + later)
            for edit in edits
        )
        return replace(self, samples=self.samples.since(first, later), edits=tuple(moved))

    def _edits_since(self, time: int) -> Iterator[Edit]:
        end = self.samples.end
        for stretch in self.stretches():
            if stretch.end <= max(time, stretch.start):
                continue
            passed = max(0, time - stretch.start)
            media_time = stretch.edit.media_time
            if media_time is not None and not stretch.edit.dwells:
                media_time += scaled(passed, self.movie_scale, self.scale)
            if media_time is not None and media_time >= end:
                media_time = None
            dwells = stretch.edit.dwells and media_time is not None
            yield Edit(stretch.edit.duration - passed, media_time, dwells)

    def _needed_for(self, media_time: int) -> int:
        """Return the first sample that must be decoded to show the media at a time."""
        sample = self.samples.last_sync(media_time) or 0
        if self.handler == b"soun":
            # An audio decoder needs earlier samples to be right at once.
            sample = max(0, sample - max(1, self.samples.roll))
            if self.samples.sync is not None:
                sample = self.samples.last_sync(self.samples.shown_at(sample)) or 0
        return sample

    def to_box(self, payload: Payload, dropped: Collection[int]) -> Container:
        """Return the track box for a virtual file with this payload and without the tracks of the `dropped` ids."""
        parts: list[BoxPart] = []
        for child in children(self.box.body):
            match child.kind:
                case b"tkhd":
                    parts.append(with_duration(child, self.duration, at=20))
                    parts.append(Container(b"edts", [write_edits(self.edits)]))
                case b"edts":
                    pass
                case b"tref":
                    parts.append(_references_left(child, dropped))
                case b"mdia":
                    parts.append(self._media(child, payload))
                case _:
                    parts.append(child.raw)
        return Container(b"trak", parts)

    def _media(self, mdia: Box, payload: Payload) -> Container:
        parts: list[BoxPart] = []
        for child in children(mdia.body):
            match child.kind:
                case b"mdhd":
                    parts.append(with_duration(child, self.samples.times.end, at=16))
                case b"minf":
                    boxes = children(child.body)
                    table = self.samples.box(payload)
                    parts.append(Container(b"minf", [table if box.kind == b"stbl" else box.raw for box in boxes]))
                case _:
                    parts.append(child.raw)
        return Container(b"mdia", parts)


def check_references(minf: list[Box]) -> None:
    """Check that the data references of a track (8.7.2) point into this file.

    Raises:
        UnsupportedMediaError: the media are, or may be, in another file.
    """
    dref = need(children(need(minf, b"dinf").body), b"dref")
    if not all(entry.number(0) & _IN_THIS_FILE for entry in children(dref.part(8, len(dref.body) - 8))):
        raise UnsupportedMediaError("media in another file")


def with_duration(header: Box, duration: int, *, at: int, scale: int | None = None) -> bytes:
    """Return a `mvhd`, `tkhd` or `mdhd` with another duration, and another timescale if one is given.

    Args:
        header: the box.
        duration: the new duration.
        at: offset of the duration in version 0; in version 1 it and the two times before it have 64 bits.
        scale: the new timescale.
    """
    wide = header.version > 0
    after = header.body[at + 16 if wide else at + 4 :]
    width = 8 if wide else 4
    created, modified = header.number(4, width), header.number(4 + width, width)
    between = header.part(4 + 2 * width, at - 12) if scale is None else scale.to_bytes(4, "big")
    width = 8 if duration > U32_MAX else width
    created_modified, until = created << 8 * width | modified, duration.to_bytes(width, "big")
    return full_box(
        header.kind,
        int(width > 4),  # noqa: PLR2004 - bytes
        created_modified.to_bytes(2 * width, "big"),
        between,
        until,
        after,
        flags=header.number(0) & 0xFF_FFFF,
    )


def _references_left(tref: Box, dropped: Collection[int]) -> bytes:
    kept = []
    for box in children(tref.body):
        ids = [number for number in _ids(box) if number not in dropped]
        if ids:
            kept.append(header_of(box.kind, 4 * len(ids)) + packed(array("I", ids)))
    body = b"".join(kept)
    return header_of(tref.kind, len(body)) + body if body else b""


def _ids(reference: Box) -> Numbers:
    return unpacked("I", reference.part(0, len(reference.body) // 4 * 4))
