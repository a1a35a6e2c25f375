"""Use case of thumbnailer: do jobs for a film, publish their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog
from google.protobuf.message import Message

from kit.bus import Bus, BusUnavailableError
from kit.events.envelope import Event
from kit.events.registry import EVENTS, type_of
from kit.ids import derived_id
from kit.origins import Stored, parse
from services.thumbnailer.domain import FailureAction, JobKind, MediaFailure, action_for
from services.thumbnailer.lanes import RULES, Lane, artwork_batches, first_batches
from services.thumbnailer.media.artwork_store import ArtworkStore
from services.thumbnailer.media.errors import MediaError, StoreUnavailableError
from services.thumbnailer.media.inspection import Limits, inspect
from services.thumbnailer.media.originals import Local, Originals
from services.thumbnailer.results import Report
from services.thumbnailer.service import messages
from services.thumbnailer.service.job import Job
from services.thumbnailer.service.protection import FilmProtector
from services.thumbnailer.service.scheduler import LaneScheduler

log = structlog.get_logger()

SOURCE = "thumbnailer"
_NEEDS_WHOLE = frozenset({JobKind.STORYBOARD, JobKind.SUBTITLES})


class MediaProcessor:
    """Plan jobs for videos and do them.

    There is no database: event ids are derived from the job's id. If a job runs twice, because a process died between
    publishing and acknowledging, its events are published twice with the same ids, and consumed once; its files get the
    same names.

    Args:
        artwork: where artwork goes.
        originals: finds the films.
        bus: carries jobs and results.
        limits: time and memory of a run.
        long_limits: those of a run that reads a whole film.
        scheduler: shares the slots of this process among lanes.
        protector: makes packs of films that are to be protected.
    """

    def __init__(
        self,
        artwork: ArtworkStore,
        originals: Originals,
        bus: Bus,
        limits: Limits,
        long_limits: Limits,
        scheduler: LaneScheduler,
        protector: FilmProtector,
    ) -> None:
        self._artwork = artwork
        self._originals = originals
        self._bus = bus
        self._limits = limits
        self._long_limits = long_limits
        self._scheduler = scheduler
        self._protector = protector

    async def plan(self, cause: Event, job: Job, *, again: bool) -> None:
        """Queue jobs for a film in the lanes where they belong.

        Args:
            cause: the event that asks for them; the ids of the jobs are derived from its id.
            job: which; a new film is packed once its facts show that it is one.
            again: they are made again.

        Raises:
            BusUnavailableError: they could not be queued.
        """
        lane = Lane.REPROCESS
        if not again:
            lane = Lane.UPLOAD_FACTS if isinstance(parse(job.reference), Stored) else Lane.IMPORT_FACTS
        await self._queue(cause, lane, job, first_batches(lane, job.kinds))
        if JobKind.PROTECT in job.kinds:
            await self._queue(cause, Lane.PROTECT, job, [[JobKind.PROTECT]])

    async def run(self, event: Event, lane: Lane, job: Job) -> None:
        """Do jobs for a film once their lane has a slot, and publish the results before returning.

        Raises:
            StoreUnavailableError: they can't be done now.
            BusUnavailableError: the results could not be published.
        """
        async with self._scheduler.slot(lane):
            await self._run(event, lane, job)

    async def _run(self, event: Event, lane: Lane, job: Job) -> None:
        await self._artwork.verify()
        if not isinstance(parse(job.reference), Stored):
            # The folder of an upload exists before its job: if it is missing, the video is gone.
            await self._artwork.add_folder(job.video_id)
        elif not await self._artwork.has_folder(job.video_id):
            log.info("media_gone", content_id=job.video_id)
            return
        await self._publish(event, job, [messages.changed(job.video_id, job.kinds, "running")])
        if lane is Lane.PROTECT:
            await self._protect(event, job)
            return
        try:
            report = await self._inspect(job, lane)
            references = await self._save(event, job, report)
        except MediaError as error:
            await self._report_failure(event, lane, job, error.failure)
            return
        await self._publish_results(event, job, report, references)
        await self._after(event, lane, job, report)

    async def _protect(self, event: Event, job: Job) -> None:
        folder = job.folder(event, JobKind.PROTECT)
        try:
            pack = await self._protector.protect(job, folder, RULES[Lane.PROTECT].niceness)
        except MediaError as error:
            await self._report_failure(event, Lane.PROTECT, job, error.failure)
            return
        await self._publish(event, job, [messages.result(job, folder, JobKind.PROTECT, pack)])

    async def _inspect(self, job: Job, lane: Lane) -> Report:
        """Do the jobs; a film of which only parts are here is completed where that might help, or is necessary."""
        limits = self._long_limits if _NEEDS_WHOLE & set(job.kinds) else self._limits
        limits = limits.with_niceness(RULES[lane].niceness)
        async with self._originals.provide(job.reference) as original:
            if not original.is_whole and _NEEDS_WHOLE & set(job.kinds):
                await self._originals.complete(original)
            try:
                return await self._made(original, job, limits)
            except MediaError:
                if original.is_whole:
                    raise
            await self._originals.complete(original)
            return await self._made(original, job, limits)

    async def _made(self, original: Local, job: Job, limits: Limits) -> Report:
        return await inspect(original.path, job.kinds, limits, original.opener)

    async def _save(self, event: Event, job: Job, report: Report) -> dict[JobKind, str]:
        """Write the files of each kind into a folder of their own; return the folders' references."""
        references = {}
        for kind in report.results:
            # What is served stays as it is: catalog turns to the new folder, and removes the old one.
            reference = job.folder(event, kind)
            references[kind] = reference
            if files := report.files.get(kind):
                await self._artwork.save(reference, files)
        return references

    async def _publish_results(self, event: Event, job: Job, report: Report, references: Mapping[JobKind, str]) -> None:
        found = [messages.result(job, references[kind], kind, result) for kind, result in report.results.items()]
        for kind, failure in report.failures.items():
            log.warning("media_job_failed", content_id=job.video_id, kind=kind.value, failure_code=failure.code)
            state = "retrying" if _is_retried(failure) else "failed"
            found.append(messages.changed(job.video_id, [kind], state, failure))
            if kind is JobKind.FACTS and not _is_retried(failure):
                found.append(messages.failed(job.video_id, failure))
        await self._publish(event, job, found)
        log.info("media_processed", content_id=job.video_id, kinds=[kind.value for kind in report.results])

    async def _after(self, event: Event, lane: Lane, job: Job, report: Report) -> None:
        """Queue what follows: the artwork after the facts, and what failed but may pass another time.

        Raises:
            StoreUnavailableError: the only job of this run may pass another time.
        """
        retried = [kind for kind, failure in report.failures.items() if _is_retried(failure)]
        if len(job.kinds) == 1 and retried:
            raise StoreUnavailableError(report.failures[retried[0]].reason)
        if retried:
            await self._queue(event, lane, job, [[kind] for kind in retried], announce=False)
        facts, artwork_lane = report.facts, RULES[lane].artwork
        if facts is not None and artwork_lane is not None:
            batches = artwork_batches(
                facts.info.duration_sec,
                has_text=any(track.text for track in facts.details.subtitles),
                is_remote=not isinstance(parse(job.reference), Stored),
            )
            await self._queue(event, artwork_lane, job, batches)
            if job.pack_asset_id:
                await self._queue(event, Lane.PROTECT, job, [[JobKind.PROTECT]])

    async def _report_failure(self, event: Event, lane: Lane, job: Job, failure: MediaFailure) -> None:
        """Report that none of the jobs of a run could be done."""
        gone = not await self._artwork.has_folder(job.video_id)
        action = action_for(failure, gone=gone)
        for kind in job.kinds:
            # Another attempt at a pack goes on where this one ended.
            if kind is not JobKind.PROTECT or action is not FailureAction.RETRY:
                await self._artwork.remove(job.folder(event, kind))
        log.warning("media_failed", content_id=job.video_id, failure_code=failure.code)
        match action:
            case FailureAction.REPORT if len(job.kinds) > 1 and failure.is_of_one_job:
                # One of them may have taken the process down: each gets a run of its own.
                await self._queue(event, lane, job, [[kind] for kind in job.kinds], announce=False)
            case FailureAction.REPORT:
                failed: list[Message] = [messages.changed(job.video_id, job.kinds, "failed", failure)]
                if JobKind.FACTS in job.kinds:
                    failed.append(messages.failed(job.video_id, failure))
                await self._publish(event, job, failed)
            case FailureAction.RETRY:
                await self._publish(event, job, [messages.changed(job.video_id, job.kinds, "retrying", failure)])
                raise StoreUnavailableError(failure.reason)
            case FailureAction.FORGET:
                # The job ran to its end before: the video failed for good and its file was removed.
                log.info("media_gone", content_id=job.video_id)

    async def _queue(
        self, cause: Event, lane: Lane, job: Job, batches: Sequence[Sequence[JobKind]], *, announce: bool = True
    ) -> None:
        queued = [messages.queued(lane, job, batch) for batch in batches]
        if announce and queued:
            kinds = [kind for batch in batches for kind in batch]
            queued.append(messages.changed(job.video_id, kinds, "waiting"))
        await self._publish(cause, job, queued)

    async def _publish(self, cause: Event, job: Job, found: Sequence[Message]) -> None:
        events = [
            Event.of(
                message,
                source=SOURCE,
                subject=job.video_id,
                id=derived_id(cause.id, type_of(type(message)), *messages.key_of(message)),
            ).caused_by(cause)
            for message in found
        ]
        accepted = await self._bus.publish(events, required=EVENTS.required())
        if len(accepted) < len(events):
            raise BusUnavailableError("no consumer of the results has subscribed yet")


def _is_retried(failure: MediaFailure) -> bool:
    return action_for(failure, gone=False) is FailureAction.RETRY
