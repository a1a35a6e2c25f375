"""Translate events from the bus into calls of the service."""

from __future__ import annotations

from dataclasses import replace

from kit.bus import Bus, Subscription
from kit.events.envelope import Event
from kit.events.registry import type_of
from kit.telemetry import service_context
from marquee.events.v1 import video_pb2
from services.thumbnailer.service import MediaProcessor

JOBS = Subscription("thumbnailer.jobs", (type_of(video_pb2.VideoUploaded), type_of(video_pb2.VideoProcessRequested)))


def subscribe(bus: Bus, processor: MediaProcessor, jobs: int) -> None:
    """Register thumbnailer's consumer, which processes `jobs` videos at a time."""

    async def on_job(event: Event) -> None:
        job: video_pb2.VideoUploaded | video_pb2.VideoProcessRequested
        if event.carries(video_pb2.VideoUploaded):
            job = event.read(video_pb2.VideoUploaded)
        else:
            job = event.read(video_pb2.VideoProcessRequested)
        with service_context("thumbnailer"):
            await processor.process(event, job.video_id, job.reference)

    bus.subscribe(replace(JOBS, concurrency=jobs), on_job)
