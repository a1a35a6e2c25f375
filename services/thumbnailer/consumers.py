"""Translate events from the bus into calls of the service."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from kit.bus import Bus, Handler, Subscription
from kit.events.envelope import Event
from kit.events.registry import type_of
from kit.telemetry import service_context
from marquee.events.v1 import job_pb2, video_pb2
from services.thumbnailer.lanes import RULES, Lane, known_kinds
from services.thumbnailer.service import Job, MediaProcessor
from services.thumbnailer.service.messages import QUEUED

JOBS: Final = Subscription(
    "thumbnailer.jobs",
    (type_of(video_pb2.VideoUploaded), type_of(video_pb2.VideoProcessRequested)),
    concurrency=16,
)
"""What is to be done; each event becomes jobs in a lane at once, so that nothing waits here."""
UPLOAD_FACTS: Final = Subscription("thumbnailer.upload_facts", (type_of(job_pb2.UploadFactsQueued),))
UPLOAD_ARTWORK: Final = Subscription("thumbnailer.upload_artwork", (type_of(job_pb2.UploadArtworkQueued),))
IMPORT_FACTS: Final = Subscription("thumbnailer.import_facts", (type_of(job_pb2.ImportFactsQueued),))
IMPORT_ARTWORK: Final = Subscription("thumbnailer.import_artwork", (type_of(job_pb2.ImportArtworkQueued),))
REPROCESS: Final = Subscription("thumbnailer.reprocess", (type_of(job_pb2.ReprocessQueued),))
PROTECT: Final = Subscription("thumbnailer.protect", (type_of(job_pb2.ProtectQueued),))

LANES: Final = {
    Lane.UPLOAD_FACTS: UPLOAD_FACTS,
    Lane.UPLOAD_ARTWORK: UPLOAD_ARTWORK,
    Lane.IMPORT_FACTS: IMPORT_FACTS,
    Lane.IMPORT_ARTWORK: IMPORT_ARTWORK,
    Lane.REPROCESS: REPROCESS,
    Lane.PROTECT: PROTECT,
}

_AsksForJobs = video_pb2.VideoProcessRequested | job_pb2.MediaJob


def subscribe(bus: Bus, processor: MediaProcessor, jobs: int) -> None:
    """Register thumbnailer's consumers, which run `jobs` jobs at a time, and one more where it is an upload's."""

    async def on_request(event: Event) -> None:
        with service_context("thumbnailer"):
            if event.carries(video_pb2.VideoUploaded):
                upload = event.read(video_pb2.VideoUploaded)
                everything = tuple(known_kinds(()))
                job = Job(upload.video_id, upload.reference, everything, upload.pack_asset_id, upload.content_version)
                await processor.plan(event, job, again=False)
            else:
                request = event.read(video_pb2.VideoProcessRequested)
                await processor.plan(event, _job(request), again=True)

    bus.subscribe(JOBS, on_request)
    for lane, subscription in LANES.items():
        # No more than can run: what one process holds, others can't take.
        running = jobs + 1 if RULES[lane].may_use_spare else jobs
        bus.subscribe(replace(subscription, concurrency=running), _runner(lane, processor))


def _job(asked: _AsksForJobs) -> Job:
    return Job(
        asked.video_id,
        asked.reference,
        tuple(known_kinds(asked.kinds)),
        asked.pack_asset_id,
        asked.content_version,
        asked.present_pack_asset_id,
        asked.present_content_version,
    )


def _runner(lane: Lane, processor: MediaProcessor) -> Handler:
    async def on_job(event: Event) -> None:
        job = event.read(QUEUED[lane]).job
        with service_context("thumbnailer"):
            await processor.run(event, lane, _job(job))

    return on_job
