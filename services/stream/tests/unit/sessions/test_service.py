"""Sessions of one replica, in a world whose clock a test sets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo

import pytest

from kit.auth.tokens import Caller
from kit.errors import ApiError
from kit.ids import new_id
from marquee.events.v1 import stream_pb2
from services.stream.sessions import ClientKey, LocalSession, SessionRegistry, Sessions, StreamLimitError, WatchTarget
from services.stream.sessions.local_session import STALLED_SEC
from services.stream.sessions.tickets import Ticket, Tickets
from services.stream.slots import (
    Ended,
    EndReason,
    Limits,
    Renewal,
    SessionRequest,
    SessionStatus,
    SlotsUnavailableError,
    StartResult,
    State,
    Unavailable,
)
from services.stream.slots.memory import REPLICA, MemorySlots

LIMITS = Limits(platform=4, per_user=3, queue=2, idle_sec=30)
FILM = WatchTarget(new_id(), "nas")
ANN = Caller("ann", "member", "active", "", "login-of-ann")
BOB = Caller("bob", "member", "active", "", "")
TICK = LIMITS.tick_sec


class Slots(MemorySlots):
    """A store that counts operations, and can be away."""

    asked = 0
    is_away = False

    def _advance(self) -> None:
        self.asked += 1
        if self.is_away:
            raise SlotsUnavailableError("away")
        super()._advance()

    async def start(self, request: SessionRequest, *, instead_of: str | None = None) -> StartResult:
        """Return Unavailable instead of raising, as the port says."""
        return Unavailable(1) if self.is_away else await super().start(request, instead_of=instead_of)

    def forget(self) -> None:
        """Lose all data."""
        for kept in (self._active, self._queue, self._ended, self._outbox):
            kept.clear()


class Response:
    """A response whose client takes its time."""

    def __init__(self, local_session: LocalSession) -> None:
        self.local_session = local_session
        self.is_cut_off = False
        local_session.responses.add(self)

    def cut_off(self) -> None:
        self.is_cut_off = True
        self.local_session.bytes_sent += 5
        self.local_session.end_response(self, completed=True, reached_end=False)


class World:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_700_000_000.0
        self.slots = Slots(LIMITS, lambda: self.now)
        self.registry = SessionRegistry(self.slots, REPLICA)
        self.tickets = Tickets(b"k" * 32, lambda: self.now)
        self.sessions = Sessions(self.slots, self.registry, self.tickets)
        for module in ("local_session", "registry", "service"):
            monkeypatch.setattr(f"services.stream.sessions.{module}.perf_counter", lambda: self.now)

    def another_replica(self) -> Sessions:
        """Return the sessions of another replica on the same slots."""
        return Sessions(self.slots, SessionRegistry(self.slots, "another"), self.tickets)

    async def wait(self, sec: float) -> None:
        """Let time pass, with a renewal at each tick."""
        while sec > 0:
            self.now += min(sec, TICK)
            sec -= TICK
            await self.registry.renew()

    def ticket(self, local_session: LocalSession, caller: Caller = ANN) -> Ticket:
        return self.tickets.verify(self.sessions.ticket(local_session, caller)[0])

    async def stopped(self) -> list[tuple[str, int]]:
        """Return reason and bytes of the sessions that have stopped, by their events."""
        events = [each.event for each in await self.slots.pending(100)]
        bodies = [event.read(stream_pb2.StreamStopped) for event in events if event.type == "stream.stopped"]
        return [(body.reason, body.bytes_transferred) for body in bodies]


class Clock:
    """What `datetime` is to those who ask for the time."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self, zone: tzinfo) -> datetime:
        return datetime.fromtimestamp(self._world.now, zone)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


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
