"""Use cases of thumbnailer."""

from services.thumbnailer.service.job import Job
from services.thumbnailer.service.processor import MediaProcessor
from services.thumbnailer.service.protection import FilmProtector
from services.thumbnailer.service.scheduler import LaneScheduler

__all__ = ["FilmProtector", "Job", "LaneScheduler", "MediaProcessor"]
