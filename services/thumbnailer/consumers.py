"""What thumbnailer hears from the bus: translates, decides nothing."""

from __future__ import annotations

from kit.bus import Bus, Subscription
from kit.events.envelope import Event
from kit.telemetry import service_context
from marquee.events.v1 import video_pb2
from services.thumbnailer.service import Artist

NAME = "thumbnailer.jobs"


def subscribe(bus: Bus, artist: Artist, jobs: int) -> None:
    """Registers thumbnailer's consumer; `jobs` videos are worked on at a time."""

    async def on_job(event: Event) -> None:
        job: video_pb2.VideoUploaded | video_pb2.VideoProcessRequested
        if event.type == "video.uploaded":
            job = event.read(video_pb2.VideoUploaded)
        else:
            job = event.read(video_pb2.VideoProcessRequested)
        with service_context("thumbnailer"):
            await artist.process(event, job.video_id, job.reference)

    bus.subscribe(Subscription(NAME, ("video.uploaded", "video.process_requested"), concurrency=jobs), on_job)
