"""Use case of thumbnailer."""

from services.thumbnailer.service.processor import MediaProcessor

__all__ = ["MediaProcessor"]
