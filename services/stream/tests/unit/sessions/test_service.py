"""Sessions of one replica: other replicas, a store that is away, limits, and the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from kit.auth.tokens import Caller
from kit.errors import ApiError
from services.stream.sessions import StreamLimitError
from services.stream.slots import Ended, EndReason, Limits, Renewal, SessionStatus, SlotsUnavailableError, State
from services.stream.tests.unit.sessions.support import ANN, BOB, FILM, Response, World


async def test_stop_by_another_replica_cuts_off_at_the_next_tick(world: World) -> None:
    local_session = await world.sessions.start(ANN, FILM)
    response = Response(local_session)
    await world.another_replica().stop(local_session.session.id, EndReason.ADMIN)
    await world.registry.renew()
    assert (local_session.ended, response.is_cut_off) == (EndReason.ADMIN, True)
    with pytest.raises(ApiError) as refused:
        await world.sessions.join(world.ticket(local_session))
    assert refused.value.details == {"reason": "admin"}


async def test_a_ticket_is_asked_about_once_on_another_replica(world: World) -> None:
    local_session = await world.sessions.start(ANN, FILM)
    ticket = world.ticket(local_session)
    other = world.another_replica()
    asked = world.slots.asked
    joined = await asyncio.gather(*(other.join(ticket) for _ in range(16)))
    assert {id(each) for each in joined} == {id(joined[0])}
    assert world.slots.asked == asked + 1
    await other.join(ticket)
    assert world.slots.asked == asked + 1


async def test_concurrent_connections_of_a_client_ask_once(world: World) -> None:
    asked = world.slots.asked
    joined = await asyncio.gather(
        *(world.sessions.get_or_start_implicit(ANN, FILM, "1.2.3.4", b"aria2") for _ in range(16))
    )
    assert len({each.session.id for each in joined}) == 1
    assert world.slots.asked == asked + 1
    elsewhere = await world.another_replica().get_or_start_implicit(ANN, FILM, "1.2.3.4", b"aria2")
    assert elsewhere.session.id == joined[0].session.id
    others = [(BOB, "1.2.3.4", b"aria2"), (ANN, "1.2.3.5", b"aria2"), (ANN, "1.2.3.4", b"curl")]
    sessions = [
        await world.sessions.get_or_start_implicit(user, FILM, address, agent) for user, address, agent in others
    ]
    assert len({each.session.id for each in (*sessions, joined[0])}) == 4


async def test_store_away_keeps_playing_sessions_and_refuses_newcomers(world: World) -> None:
    local_session = await world.sessions.start(ANN, FILM)
    ticket = world.ticket(local_session)
    waiting = [await world.sessions.start(Caller(f"u{n}", "member", "active"), FILM) for n in range(4)][-1]
    assert waiting.queued
    world.slots.is_away = True
    with pytest.raises(SlotsUnavailableError):
        await world.registry.renew()
    assert await world.sessions.join(ticket) is local_session
    await world.sessions.find_own(local_session.session.id, ANN, is_alive=True)
    assert (await world.another_replica().join(ticket)).is_active, "a good ticket is believed meanwhile"
    with pytest.raises(ApiError, match="SERVICE_UNAVAILABLE") as caught:
        await world.sessions.find_own(waiting.session.id, Caller("u3", "member", "active"), is_alive=True)
    assert caught.value.details == {"dependency": "redis", "retry_after_sec": 2}
    with pytest.raises(ApiError, match="SERVICE_UNAVAILABLE"):
        await world.sessions.stop(local_session.session.id, EndReason.STOPPED, "ann")
    assert local_session.ended is EndReason.STOPPED, "here it is over all the same"


async def test_store_that_lost_its_data_gets_served_sessions_back(world: World) -> None:
    local_session, away = [await world.sessions.start(ANN, FILM) for _ in range(2)]
    tickets = [world.ticket(each) for each in (local_session, away)]
    world.slots.forget()
    other = world.another_replica()
    # A replica that never met them has nothing but the tickets.
    assert (await other.join(tickets[1])).session.request == replace(away.session.request, device_key="")
    await other.find_own(away.session.id, ANN, is_alive=True, ticket=tickets[1])
    await world.registry.renew()
    assert {each.id for each in await world.slots.all()} == {local_session.session.id, away.session.id}


async def test_a_heartbeat_with_a_ticket_brings_a_session_back_but_only_to_its_viewer(world: World) -> None:
    local_session = await world.sessions.start(ANN, FILM)
    ticket = world.ticket(local_session)
    world.slots.forget()
    for caller, given in ((ANN, None), (BOB, ticket)):
        with pytest.raises(ApiError, match="STREAM_SESSION_NOT_FOUND"):
            await world.another_replica().find_own(local_session.session.id, caller, is_alive=True, ticket=given)
    assert await world.slots.all() == []
    found = await world.another_replica().find_own(local_session.session.id, ANN, is_alive=True, ticket=ticket)
    assert found.is_active


async def test_ended_session_does_not_return_with_its_last_renewal(world: World) -> None:
    local_session = await world.sessions.start(ANN, FILM)
    await world.sessions.stop(local_session.session.id, EndReason.ENDED)
    world.slots.forget()
    await world.registry.renew()
    assert await world.slots.all() == []


async def test_a_login_that_ended_takes_its_sessions_along(world: World) -> None:
    local_session = await world.sessions.start(ANN, FILM)
    other = await world.sessions.start(BOB, FILM)
    response = Response(local_session)
    world.sessions.stop_login("login-of-ann")
    world.sessions.stop_login("")
    assert response.is_cut_off
    await world.registry.renew()
    assert [each.id for each in await world.slots.all()] == [other.session.id]
    assert await world.stopped() == [("revoked", 5)]


async def test_a_login_that_ended_while_the_store_was_away(world: World) -> None:
    await world.sessions.start(ANN, FILM)
    world.slots.is_away = True
    world.sessions.stop_login("login-of-ann")
    with pytest.raises(SlotsUnavailableError):
        await world.registry.renew()
    world.slots.is_away = False
    await world.registry.renew()
    assert await world.slots.all() == []


async def test_a_limit_is_an_outcome_that_names_the_sessions(world: World) -> None:
    started = [await world.sessions.start(ANN, FILM) for _ in range(3)]
    with pytest.raises(StreamLimitError) as refused:
        await world.sessions.start(ANN, FILM)
    assert [each.id for each in refused.value.sessions] == [each.session.id for each in started]


async def test_one_that_waited_plays_when_its_turn_comes(world: World) -> None:
    first, *_ = [await world.sessions.start(Caller(f"u{n}", "member", "active"), FILM) for n in range(4)]
    waiting = await world.sessions.start(ANN, FILM)
    assert (waiting.is_active, waiting.queued and waiting.queued.position) == (False, 1)
    await world.sessions.stop(first.session.id, EndReason.ENDED)
    await world.registry.renew()
    assert waiting.session.state is State.ACTIVE
    assert waiting.is_active


async def test_error_is_reported_once_also_after_an_outage(world: World) -> None:
    local_session = await world.sessions.start(ANN, FILM)
    world.slots.is_away = True
    for _ in range(3):
        world.sessions.fail(local_session, "STREAM_FILE_UNAVAILABLE", "gone")
    with pytest.raises(SlotsUnavailableError):
        await world.registry.renew()
    world.slots.is_away = False
    await world.registry.renew()
    await world.registry.renew()
    types = [each.event.type for each in await world.slots.pending(100)]
    assert types == ["stream.started", "stream.error"]


async def test_the_loop_renews_at_each_tick_and_survives_the_store(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[Sequence[Renewal]] = []
    enough = asyncio.Event()

    async def renew(batch: Sequence[Renewal]) -> Mapping[str, SessionStatus]:
        batches.append(batch)
        if len(batches) == 1:
            raise SlotsUnavailableError("away")
        if len(batches) == 4:
            enough.set()
        return {each.session.id: Ended(EndReason.EXPIRED) for each in batch}

    monkeypatch.setattr(world.slots, "renew", renew)
    monkeypatch.setattr(world.slots, "limits", Limits(idle_sec=0.06))
    looping = asyncio.create_task(world.registry.keep_renewed())
    await asyncio.wait_for(enough.wait(), 10)
    looping.cancel()
    await asyncio.gather(looping, return_exceptions=True)
    assert list(batches[3]) == []
