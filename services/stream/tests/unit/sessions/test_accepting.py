"""The check of whether new play sessions are granted."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from services.stream.sessions.accepting import NotAcceptingError, accepting_probe
from services.stream.slots import Limits, SlotsUnavailableError
from services.stream.slots.memory import MemorySlots


class RecoveringSlots(MemorySlots):
    """A store that may have lost sessions."""

    seconds = 0.0
    is_away = False

    async def seconds_until_accepting(self) -> float:
        if self.is_away:
            raise SlotsUnavailableError
        return self.seconds


async def test_fails_while_nothing_new_is_granted() -> None:
    slots = RecoveringSlots(Limits())
    probe = accepting_probe(slots)
    await probe()
    assert REGISTRY.get_sample_value("stream_accepting_in_seconds") == 0
    slots.seconds = 12.5
    with pytest.raises(NotAcceptingError):
        await probe()
    assert REGISTRY.get_sample_value("stream_accepting_in_seconds") == 12.5
    slots.is_away = True
    with pytest.raises(SlotsUnavailableError):
        await probe()
