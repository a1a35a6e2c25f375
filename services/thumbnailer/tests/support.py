"""Stand-ins for other services."""

from __future__ import annotations

import hashlib
import uuid

from kit.bus import Bus
from lsv import ContentKey
from services.thumbnailer import domain
from services.thumbnailer.clients.stream import ContentKeys
from services.thumbnailer.lanes import RULES
from services.thumbnailer.media.artwork_store import ArtworkStore
from services.thumbnailer.media.errors import MediaError
from services.thumbnailer.media.inspection import DEFAULT_LIMITS, Limits
from services.thumbnailer.media.originals import Originals
from services.thumbnailer.service import FilmProtector, LaneScheduler, MediaProcessor


class FakeKeys:
    """Content keys as stream has them: one an asset."""

    def __init__(self) -> None:
        self.is_away = False
        self.asked: list[tuple[str, str]] = []

    async def issue(self, video_id: str, asset_id: str) -> ContentKey:
        self.asked.append((video_id, asset_id))
        if self.is_away:
            raise MediaError.of(domain.KEYS_UNAVAILABLE)
        return self.key(asset_id)

    @staticmethod
    def key(asset_id: str) -> ContentKey:
        return ContentKey(uuid.uuid5(uuid.NAMESPACE_OID, asset_id), hashlib.sha256(asset_id.encode()).digest())


def processor_with(
    artwork: ArtworkStore,
    originals: Originals,
    bus: Bus,
    *,
    slots: int = 1,
    keys: ContentKeys | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> MediaProcessor:
    """Return a processor with the default limits."""
    protector = FilmProtector(artwork, originals, keys or FakeKeys(), limits)
    return MediaProcessor(artwork, originals, bus, limits, limits, LaneScheduler(slots, RULES), protector)
