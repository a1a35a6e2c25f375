"""Shapes of stream's HTTP API."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kit.http import View


class Codecs(View):
    """How picture and sound are coded."""

    video: str
    audio: str | None = Field(description="null when the video is silent.")


class Resolution(View):
    """Size of the picture, in pixels."""

    width: int
    height: int


class StreamInfo(View):
    """What is known of a stream before a byte of it is fetched."""

    content_id: str
    duration: float = Field(description="Seconds.")
    file_size: int = Field(description="Bytes.")
    mime_type: str
    codecs: Codecs
    resolution: Resolution
    bitrate: int = Field(description="Bits per second.")
    source: Literal["nas"] = Field(default="nas", description="The tier that serves it: the mounted store.")
    stream_url: str = Field(description="What a player should fetch: the film's bytes, with the index first.")
    cache_hit: bool = Field(default=False, description="Whether it comes from a copy nearer than the store.")
