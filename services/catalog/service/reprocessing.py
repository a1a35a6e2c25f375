"""Have media information and artwork of all videos made again, some at a time."""

from __future__ import annotations

from typing import Final

from services.catalog.domain import SOURCE_MISSING
from services.catalog.repository.jobs import JobRepository
from services.catalog.service.events import process_requested_event
from services.catalog.service.jobs import JobHandle

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
            await jobs.retry_failed([video_id for video_id, _ in sources], besides=SOURCE_MISSING)
            for video_id, reference in sources:
                await step.transaction.record(process_requested_event(video_id, reference, kinds))
            step.record.cursor = sources[-1][0]
            step.record.done += len(sources)
