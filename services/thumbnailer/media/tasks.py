"""Do the jobs for one open film. Part of the confined child: every byte here is foreign."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from services.thumbnailer import domain
from services.thumbnailer.domain import INSPECTIONS, POSTER_WIDTHS, THUMBNAIL_WIDTH, JobKind
from services.thumbnailer.media.facts import facts_of
from services.thumbnailer.media.picture_choice import choose_picture
from services.thumbnailer.media.picture_output import jpeg, rgb_of, shown, shown_width, smaller, webp
from services.thumbnailer.media.probe import open_film
from services.thumbnailer.media.storyboard import storyboard_of
from services.thumbnailer.media.subtitle_tracks import subtitles_of
from services.thumbnailer.media.thumbhash import thumbhash

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from services.thumbnailer.media.probe import Film, Job

_HASHED_WIDTH: Final = 32

FailureCode = Callable[[Exception], str]
Made = tuple[Any, list[bytes]]
"""A result, for JSON, and its files."""


def run_jobs(fd: int, job: Job, failure_code: FailureCode) -> tuple[dict[str, object], list[bytes]]:
    """Do the jobs that were asked for; one that fails does not keep the others from their results.

    Args:
        fd: the open file.
        job: what to do.
        failure_code: returns the code of an error, which ends one job.

    Returns:
        For each kind its result and the sizes of its files, the failures by kind, and all files one after the other.

    Raises:
        Exception: the film can't be opened; none of the jobs can be done.
    """
    answer: dict[str, object] = {}
    failures: dict[str, str] = {}
    files: list[bytes] = []
    with open_film(fd, job) as film:
        work = _Work(film, job)
        for kind in INSPECTIONS:
            if kind.value not in job["kinds"]:
                continue
            try:
                result, made = work.do(kind)
            except Exception as error:  # noqa: BLE001 - a foreign file decides what is raised here
                failures[kind.value] = failure_code(error)
            else:
                answer[kind.value] = {"result": result, "sizes": [len(each) for each in made]}
                files += made
    return answer | {"failures": failures}, files


class _Work:
    """Makes the results for one film."""

    def __init__(self, film: Film, job: Job) -> None:
        self._film = film
        self._job = job
        self._best: VideoFrame | None = None

    def do(self, kind: JobKind) -> Made:
        """Do one job."""
        match kind:
            case JobKind.FACTS:
                return facts_of(self._film), []
            case JobKind.THUMBNAIL:
                return self._thumbnail()
            case JobKind.POSTERS:
                return self._posters()
            case JobKind.STORYBOARD:
                return storyboard_of(self._film, self._job["cpu_sec"] / 2)
            case JobKind.SUBTITLES:
                return subtitles_of(self._film)
            case JobKind.PROTECT:
                raise ValueError(kind)

    def _thumbnail(self) -> Made:
        picture = shown(self._picture(), self._film.stream, THUMBNAIL_WIDTH)
        width, height = _hashed_size(picture.width, picture.height)
        placeholder = thumbhash(width, height, rgb_of(picture, width, height))
        return {"thumbhash": base64.b64encode(placeholder).decode()}, [jpeg(picture)]

    def _posters(self) -> Made:
        """Make posters as wide as the film at most, but one at least."""
        most = max(shown_width(self._picture(), self._film.stream), POSTER_WIDTHS[0])
        widths = [width for width in POSTER_WIDTHS if width <= most]
        largest = shown(self._picture(), self._film.stream, widths[-1])
        pictures = [smaller(largest, width) for width in widths[:-1]] + [largest]
        result = {"widths": widths, "width": largest.width, "height": largest.height}
        return result, [encoded for each in pictures for encoded in (jpeg(each), webp(each))]

    def _picture(self) -> VideoFrame:
        if self._best is None:
            film = self._film
            times = domain.thumbnail_times(film.duration_sec)
            self._best = choose_picture(film.container, film.stream, times, film.first)
        return self._best


def _hashed_size(width: int, height: int) -> tuple[int, int]:
    longer = max(width, height)
    return max(1, round(_HASHED_WIDTH * width / longer)), max(1, round(_HASHED_WIDTH * height / longer))
