"""Have media information and artwork of all videos made again, some at a time."""

from __future__ import annotations

from typing import Final

from services.catalog.domain import SOURCE_MISSING
from services.catalog.repository.jobs import JobRepository
from services.catalog.service.events import process_requested_event
from services.catalog.service.jobs import JobHandle
from services.catalog.service.protection import processing_event

BATCH: Final = 100
"""Videos of one transaction: other writes wait for one at most."""


async def reprocess(job: JobHandle) -> None:
    """Request processing of each video in the order of ids; the job's cursor is the last one.

    A video that failed is tried again. One whose file is missing stays as it is until the file is back.
    """
    kinds = [str(kind) for kind in job.options.get("kinds", ())]
    while True:
        async with job.step() as step:
            jobs = JobRepository(step.transaction.session)
            sources = await jobs.sources_after(step.record.cursor, BATCH)
            if not sources:
                step.finish()
                return
            ids = [video_id for video_id, _ in sources]
            await jobs.retry_failed(ids, besides=SOURCE_MISSING)
            to_pack = {video.id: video for video in await jobs.failed_protected(ids, besides=SOURCE_MISSING)}
            for video in to_pack.values():
                video.status, video.failure_code, video.failure_reason = "processing", None, None
                if video.source is not None:
                    await step.transaction.record(processing_event(video, video.source))
            for video_id, reference in sources:
                if video_id in to_pack:
                    continue
                await step.transaction.record(process_requested_event(video_id, reference, kinds))
            step.record.cursor = sources[-1][0]
            step.record.done += len(sources)
