"""Schemas of stream's HTTP API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from kit.web.schemas import Page, Schema, View
from services.stream.protection.device_keys import WrapName
from services.stream.sessions.device_names import MAX_NAME_CHARS
from services.stream.sessions.tickets import MAX_TICKET_CHARS

Protection = Literal["lsv"]
PUBLIC_KEY_CHARS = 200
PublicKey = Annotated[
    str,
    Field(
        max_length=PUBLIC_KEY_CHARS,
        description="The device's: an uncompressed point of P-256, 65 bytes, as base64url without padding.",
    ),
]
WrapAlgorithmName = Annotated[WrapName, Field(description="How the content key is to be wrapped.")]


class Codecs(View):
    """How picture and sound are coded."""

    video: str
    audio: str | None = Field(description="null when the video is silent.")


class Resolution(View):
    """Size of the picture, in pixels."""

    width: int
    height: int


class StreamInfo(View):
    """A description of a stream before a byte of it is fetched."""

    content_id: str
    duration: float = Field(description="Seconds.")
    file_size: int = Field(description="Bytes; of a protected film, those of its pack.")
    mime_type: str = Field(description="Of the bytes: `application/octet-stream` for a pack.")
    protection: Protection | None = Field(description="null for a film whose bytes any player reads.")
    codecs: Codecs
    resolution: Resolution
    bitrate: int = Field(description="Bits per second.")
    source: Literal["ssd", "nas", "remote"] | None = Field(
        description="Where it comes from now: a hot copy, the mounted store, another machine; null when out of reach."
    )
    stream_url: str = Field(description="What a player should fetch: the film's bytes, with the index first.")
    cache_hit: bool = Field(description="Whether it comes from a copy nearer than the store.")


Status = Literal["active", "queued"]
Tier = Annotated[str, Field(description="The tier that the bytes came from when it began: `ssd`, `nas`, `remote`.")]


class PlaySessionStart(Schema):
    """A player's request for a play session."""

    video_id: str = Field(max_length=64)
    device_name: str | None = Field(
        default=None, max_length=MAX_NAME_CHARS, description="For people; made of the `User-Agent` when absent."
    )
    instead_of: str | None = Field(
        default=None,
        max_length=64,
        description="A session of the same user whose slot, or place in the queue, this one takes over.",
    )
    public_key: PublicKey | None = Field(default=None, description="Required for protected films.")
    wrap_algorithm: WrapAlgorithmName = WrapName.AES_KW


class KeyRequest(Schema):
    """A device's request for the content key of what it plays."""

    public_key: PublicKey
    wrap_algorithm: WrapAlgorithmName = WrapName.AES_KW


class Heartbeat(Schema):
    """A sign of life."""

    ticket: str | None = Field(
        default=None, max_length=MAX_TICKET_CHARS, description="With it a session survives the loss of Redis's data."
    )


class WatermarkView(View):
    """What a player draws over the picture of a protected film."""

    text: str = Field(description="Names the viewer; the player adds the time.")
    opacity: float = Field(description="0 to 1.")
    size: float = Field(description="Height of the letters, as a share of the picture's height.")
    interval_sec: int = Field(description="From the beginning of one appearance to that of the next.")
    visible_sec: int = Field(description="How long one appearance lasts.")


class SessionKey(View):
    """The content key of a protected film, wrapped for one device and one play session."""

    scope: Literal["ONLINE_STREAM_ONLY"] = "ONLINE_STREAM_ONLY"
    server_public_key: str = Field(description="A point as in `public_key`, another one in each answer.")
    wrapped_key: str = Field(description="Prefix and payload, as base64url: docs/reference/lsv-licences.md.")
    content_version: int = Field(description="Of the pack's prelude.")
    watermark: WatermarkView


class PlaySession(View):
    """A play session of the caller: `active` ones have a ticket and a URL, `queued` ones a place."""

    session_id: str
    status: Status
    video_id: str
    device_name: str
    since: datetime = Field(description="When it got its slot or, if queued, when it began to wait.")
    heartbeat_sec: float = Field(description="How often a player should send a heartbeat, playing or paused.")
    idle_sec: float = Field(description="Without bytes and heartbeats for so long, the session is over.")
    stream_url: str | None = Field(default=None, description="What to play; has the ticket in it.")
    ticket: str | None = Field(default=None, description="Good for this video's media URLs: `?ticket=`.")
    expires_at: datetime | None = Field(
        default=None,
        description="When the ticket ends; every answer brings a fresh one. It ends with its session, too.",
    )
    position: int | None = Field(default=None, description="1 is next.")
    retry_after_sec: float | None = Field(default=None, description="When to ask again; asking keeps the place.")
    protection: Protection | None = Field(default=None, description="Of protected films; `stream_url` is their pack.")
    scope: Literal["ONLINE_STREAM_ONLY"] | None = Field(default=None, description="Of protected films.")
    server_public_key: str | None = Field(default=None, description="As in `SessionKey`, when it is active at once.")
    wrapped_key: str | None = Field(default=None, description="As in `SessionKey`.")
    content_version: int | None = Field(default=None, description="As in `SessionKey`.")
    watermark: WatermarkView | None = Field(default=None, description="Of protected films, when it is active at once.")


class Device(View):
    """A session as listed for its viewer, who may stop it or take its place."""

    session_id: str
    status: Status
    device_name: str
    video_id: str
    title: str | None = Field(description="null when it is not available now.")
    since: datetime


class MySession(Device):
    """A session of the caller."""

    source: Tier
    bytes_sent: int = Field(description="By all replicas, a few seconds old.")


class StreamView(MySession):
    """A session, for admins."""

    user_id: str
    display_name: str | None = Field(description="null when it is not available now.")
    kind: Literal["explicit", "implicit"] = Field(description="`implicit` for clients without a player of ours.")
    seen_at: datetime = Field(description="Its last sign of life.")
    rate_mbps: float = Field(description="Mbit/s of late.")
    replica: str = Field(description="The process that last served it.")


class StreamMetrics(View):
    """Statistics of streaming on the whole platform."""

    active: int
    queued: int
    max_streams: int
    max_streams_per_user: int
    stream_queue: int
    opens_in_sec: float = Field(
        description="Not 0 for a short time after Redis was away or empty: nothing new is granted until then."
    )
    users: int = Field(description="Users who play or wait.")
    replicas: int = Field(description="Processes that serve a viewer now.")
    bytes_sent: int = Field(description="Of the sessions that play now.")
    bandwidth_mbps: float = Field(description="Mbit/s of late.")
    avg_duration_sec: float = Field(description="How long those that play now have been playing, on average.")
    sources: dict[str, int] = Field(description="Playing sessions by the tier that they began from.")
    cache_hit_rate: float = Field(description="Share of them, 0 to 1, that began from the hot copy.")


class StreamPage(Page[StreamView]):
    """One page of all play sessions, and statistics: what a dashboard shows, in one response."""

    metrics: StreamMetrics


class LicenseRenewal(KeyRequest):
    """A device's request for more time."""

    expires_in_sec: int | None = Field(
        default=None, ge=60, le=366 * 86_400, description="As long as may be by default, and never longer."
    )


class OfflineLicenseRequest(LicenseRenewal):
    """A device's request for a licence."""

    video_id: str = Field(max_length=64)
    device_id: str = Field(max_length=64, description="A UUID that the device keeps.")
    device_name: str = Field(min_length=1, max_length=MAX_NAME_CHARS, description="For people.")


class OfflineLicense(View):
    """A licence to play a protected film on one device without the network."""

    id: str
    video_id: str
    device_id: str
    device_name: str
    scope: Literal["OFFLINE_PLAYBACK"] = "OFFLINE_PLAYBACK"
    issued_at: datetime = Field(description="When it was issued or renewed last: a device's clock is not before it.")
    expires_at: datetime
    content_version: int = Field(description="Of the prelude of the pack that it opens.")


class IssuedOfflineLicense(OfflineLicense):
    """A licence with its key, which only this answer has."""

    server_public_key: str = Field(description="A point as in `public_key`, another one in each answer.")
    wrapped_key: str = Field(description="Prefix and payload, as base64url: docs/reference/lsv-licences.md.")
    watermark: WatermarkView


class AdminOfflineLicense(OfflineLicense):
    """A licence, for administrators."""

    user_id: str
    ended_at: datetime | None = Field(description="null while it is in force.")
    end_reason: Literal["user", "admin", "expired", "account"] | None


class Qoe(Schema):
    """The quality of experience, as the player measured it since the session began."""

    startup_ms: int | None = Field(default=None, ge=0, le=600_000, description="From play to the first picture.")
    stalls: int = Field(default=0, ge=0, le=100_000, description="How often it stopped for lack of bytes.")
    stall_ms: int = Field(default=0, ge=0, le=86_400_000, description="For how long in all.")
    dropped_frames: int = Field(default=0, ge=0, le=100_000_000)
