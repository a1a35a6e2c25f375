"""Cards: films as lists show them, encoded once for everyone who is shown them.

A card holds nothing that only some may see of a film. Who may see the film is part of the query that gives its version,
in each request: only with that version a card is found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from kit.cache import ExpiringCache
from kit.encoded_json import Encoded
from services.catalog.models import Video
from services.catalog.repository.videos import VideoRepository

_CARDS: Final = 20_000
"""About a kilobyte each."""
_KEPT_SEC: Final = 4.0
"""Bounds what a replica of an earlier release changes without a new version."""


class Cards:
    """Encodes films, and remembers them by their version.

    Args:
        render: encodes a film that is loaded with its artwork.
        clock: seconds that only go forward.
    """

    def __init__(self, render: Callable[[Video], Encoded], clock: Callable[[], float] = time.monotonic) -> None:
        self._render = render
        self._kept: ExpiringCache[str, tuple[int, Encoded]] = ExpiringCache(_CARDS, _KEPT_SEC, clock)

    async def load(self, videos: VideoRepository, versions: Mapping[str, int]) -> dict[str, Encoded]:
        """Return the cards of films, by id.

        Args:
            videos: of the transaction in which their versions were read.
            versions: of films that the caller may see.
        """
        mark = self._kept.begin()
        cards: dict[str, Encoded] = {}
        for video_id, version in versions.items():
            if (kept := self._kept.get(video_id)) and kept[0] == version:
                cards[video_id] = kept[1]
        if missing := [video_id for video_id in versions if video_id not in cards]:
            for video in await videos.by_ids(missing):
                cards[video.id] = self._render(video)
                self._kept.put(video.id, (video.version, cards[video.id]), mark)
        return cards
