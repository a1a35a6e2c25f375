"""What keeps a session alive, and when the store is asked about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from kit.errors import ApiError
from services.stream.sessions import ClientKey
from services.stream.sessions.local_session import STALLED_SEC
from services.stream.slots import EndReason, Renewal, SessionStatus
from services.stream.tests.unit.sessions.support import ANN, FILM, LIMITS, TICK, Clock, Response, World


async def test_a_paused_player_keeps_its_slot_for_an_hour_by_heartbeats_alone(world: World) -> None:
    local_session = await world.sessions.start(ANN, FILM)
    for _ in range(360):
        asked = world.slots.asked
        await world.sessions.find_own(local_session.session.id, ANN, is_alive=True)
        assert world.slots.asked == asked, "a heartbeat of a session in memory asks no store"
        await world.wait(10)
    assert local_session.is_active
    await world.wait(19.9)
    assert local_session.is_active
    await world.wait(TICK)
    assert local_session.ended is EndReason.EXPIRED
    assert world.registry.all() == []


async def test_looking_is_no_sign_of_life(world: World) -> None:
    local_session = await world.sessions.start(ANN, FILM)
    for _ in range(6):
        await world.sessions.find_own(local_session.session.id, ANN, is_alive=False)
        await world.wait(TICK)
    with pytest.raises(ApiError, match="STREAM_SESSION_NOT_FOUND"):
        await world.sessions.find_own(local_session.session.id, ANN, is_alive=False)


async def test_looking_through_another_replica_is_none_either(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    local_session = await world.sessions.start(ANN, FILM)
    other_device = replace(ANN, login_session_id="login of the phone")
    await world.wait(20)
    # The session's times are of the store's clock, and this world's are long ago.
    monkeypatch.setattr("services.stream.sessions.local_session.datetime", Clock(world))
    other = world.another_replica()
    await other.find_own(local_session.session.id, other_device, is_alive=False)
    await other._registry.renew()
    other.stop_login("login of the phone")
    assert local_session.is_active
    await world.wait(10)
    assert local_session.ended is EndReason.EXPIRED


async def test_an_unfinished_answer_counts_as_life_for_ten_minutes(world: World) -> None:
    local_session = await world.sessions.get_or_start_implicit(ANN, FILM, "127.0.0.1", b"VLC")
    response = Response(local_session)
    await world.wait(10 * 60 - TICK)
    assert local_session.is_active
    await world.wait(2 * TICK + LIMITS.idle_sec)
    assert local_session.ended is EndReason.EXPIRED
    assert response.is_cut_off


async def test_asks_the_store_before_sending_to_a_session_idle_for_long(world: World) -> None:
    client = ClientKey("ann", FILM.video_id, "127.0.0.1", b"VLC")
    local_session = await world.sessions.get_or_start_implicit(ANN, FILM, client.address, client.user_agent)
    await world.wait(LIMITS.idle_sec - LIMITS.gap_sec)
    assert world.registry.get_active_of_client(client) is local_session
    await world.wait(TICK)
    assert world.registry.get_active_of_client(client) is None, "by the next renewal the store may have given it up"
    assert await world.sessions.get_or_start_implicit(ANN, FILM, client.address, client.user_agent) is local_session
    assert world.registry.get_active_of_client(client) is local_session
    await world.wait(LIMITS.idle_sec - TICK)
    assert local_session.is_active


async def test_session_resumed_late_is_not_cut_off_by_the_next_renewal(world: World) -> None:
    old = await world.sessions.get_or_start_implicit(ANN, FILM, "127.0.0.1", b"VLC")
    for _ in range(6):
        world.now += TICK
        await world.slots.all()
    new = await world.sessions.get_or_start_implicit(ANN, FILM, "127.0.0.1", b"VLC")
    response = Response(new)
    await world.registry.renew()
    assert (old.ended, new.is_active, response.is_cut_off) == (EndReason.EXPIRED, True, False)


async def test_an_answer_under_way_is_no_silence(world: World) -> None:
    local_session = await world.sessions.start(ANN, FILM)
    Response(local_session)
    await world.wait(2 * LIMITS.idle_sec)
    asked = world.slots.asked
    assert await world.sessions.join(world.ticket(local_session)) is local_session
    assert world.slots.asked == asked


@pytest.mark.parametrize("is_here", [True, False])
async def test_a_ticket_or_a_heartbeat_after_long_silence_renews_at_once(world: World, is_here: bool) -> None:
    joined, looked = [await world.sessions.start(ANN, FILM) for _ in range(2)]
    sessions = world.sessions if is_here else world.another_replica()
    await world.wait(LIMITS.idle_sec - TICK)
    await sessions.join(world.ticket(joined))
    await sessions.find_own(looked.session.id, ANN, is_alive=True)
    await world.wait(LIMITS.idle_sec - TICK)
    assert (joined.is_active, looked.is_active) == (True, True)


async def test_idle_session_resumes_while_the_store_is_away(world: World) -> None:
    implicit = await world.sessions.get_or_start_implicit(ANN, FILM, "127.0.0.1", b"VLC")
    looked, joined = [await world.sessions.start(ANN, FILM, device="A television " * 5) for _ in range(2)]
    known = joined.session
    await world.wait(LIMITS.idle_sec - TICK)
    world.slots.is_away = True
    assert await world.sessions.get_or_start_implicit(ANN, FILM, "127.0.0.1", b"VLC") is implicit
    assert await world.sessions.find_own(looked.session.id, ANN, is_alive=True) is looked
    assert await world.sessions.join(world.ticket(joined)) is joined
    assert joined.session.request == known.request, "a ticket remembers less"
    assert world.registry.get_active(joined.session.id) is joined


async def test_concurrent_requests_wait_for_one_answer_of_the_store(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    local_session = await world.sessions.start(ANN, FILM)
    await world.wait(LIMITS.idle_sec - TICK)
    renew = world.slots.renew

    async def slowly(batch: Sequence[Renewal]) -> Mapping[str, SessionStatus]:
        assert world.registry.get_active(local_session.session.id) is None
        return await renew(batch)

    monkeypatch.setattr(world.slots, "renew", slowly)
    assert await world.sessions.find_own(local_session.session.id, ANN, is_alive=True) is local_session
    assert world.registry.get_active(local_session.session.id) is local_session


async def test_an_answer_that_has_stalled_for_too_long_is_silence(world: World) -> None:
    local_session = await world.sessions.start(ANN, FILM)
    Response(local_session)
    await world.wait(STALLED_SEC)
    assert world.registry.get_active(local_session.session.id) is local_session
    await world.wait(TICK)
    assert world.registry.get_active(local_session.session.id) is None
    assert await world.sessions.join(world.ticket(local_session)) is local_session
    await world.wait(LIMITS.idle_sec - TICK)
    assert local_session.is_active


async def test_bytes_are_a_sign_of_life_and_all_are_reported(world: World) -> None:
    local_session = await world.sessions.start(ANN, FILM)
    for _ in range(20):
        local_session.bytes_sent += 100
        local_session.touch()
        await world.wait(TICK)
    response = Response(local_session)
    await world.sessions.stop(local_session.session.id, EndReason.STOPPED, "ann")
    assert response.is_cut_off
    assert await world.stopped() == [("stopped", 2005)]
    await world.wait(2 * TICK)
    assert world.registry._sessions == {}, "nothing is kept of what is over and reported"
