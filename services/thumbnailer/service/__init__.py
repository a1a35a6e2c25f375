"""Use cases of thumbnailer."""

from services.thumbnailer.service.processor import Job, MediaProcessor
from services.thumbnailer.service.scheduler import LaneScheduler

__all__ = ["Job", "LaneScheduler", "MediaProcessor"]
