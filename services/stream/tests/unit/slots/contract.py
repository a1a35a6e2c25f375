"""What every store of slots must do. An adapter's tests inherit `SlotsContract` and make its world."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from kit.ids import new_id
from services.stream.slots import (
    Active,
    Ended,
    EndReason,
    Kind,
    LimitReached,
    Queued,
    Renewal,
    Scope,
    SessionRequest,
    State,
)
from services.stream.tests.unit.slots.contract_events import EventsContract
from services.stream.tests.unit.slots.contract_finished import FinishedSessionsContract
from services.stream.tests.unit.slots.contract_lifetime import LifetimeContract
from services.stream.tests.unit.slots.support import IDLE, LIMITS, TICK, World, a_request


class SlotsContract(LifetimeContract, EventsContract, FinishedSessionsContract):
    """Tests of a store. A subclass provides the fixture `world`, with `LIMITS`."""

    @pytest.fixture
    async def world(self) -> World:
        raise NotImplementedError

    # Who gets a slot

    async def test_session_has_the_request_it_was_started_with(self, world: World) -> None:
        request = a_request("ann", device_name='"거실"\\ \n TV 📺', source="ssd")
        session = await world.granted(request)
        assert session.request == request
        assert (session.state, session.bytes_sent, session.started_at) == (State.ACTIVE, 0, session.seen_at)
        for store in world.stores:
            assert await store.get(session.id) == Active(session)
            assert await store.of_user("ann") == await store.all() == [session]
            assert await store.of_user("bob") == []
            assert await store.get(new_id()) == Ended(EndReason.UNKNOWN)

    async def test_the_users_limit_answers_at_once_and_names_their_sessions(self, world: World) -> None:
        own = [await world.granted(a_request("ann", device_name=name)) for name in ("TV", "phone")]
        assert await world.store.start(a_request("ann")) == LimitReached(Scope.USER, 2, tuple(own))
        await world.granted(a_request("bob"))

    async def test_the_users_limit_counts_those_that_wait(self, world: World) -> None:
        await world.fill()
        own = [await world.queued(a_request("ann")) for _ in range(2)]
        assert await world.store.start(a_request("ann")) == LimitReached(Scope.USER, 2, tuple(own))

    async def test_the_platforms_limit_queues_until_the_queue_is_full(self, world: World) -> None:
        await world.fill()
        for position in range(1, LIMITS.queue + 1):
            result = await world.store.start(request := a_request())
            assert isinstance(result, Queued)
            assert (result.position, result.retry_after_sec) == (position, TICK)
            assert (result.session.request, result.session.state) == (request, State.QUEUED)
            assert await world.stores[-1].get(result.session.id) == result
        assert await world.store.start(a_request()) == LimitReached(Scope.SERVER, LIMITS.platform, ())

    async def test_a_refusal_by_the_platform_names_the_viewers_own(self, world: World) -> None:
        own = await world.granted(a_request("ann"))
        await world.fill()
        for _ in range(LIMITS.queue):
            await world.queued(a_request())
        assert await world.store.start(a_request("ann")) == LimitReached(Scope.SERVER, LIMITS.platform, (own,))

    async def test_starting_twice_is_starting_once(self, world: World) -> None:
        request = a_request()
        session = await world.granted(request)
        assert [await store.start(request) for store in world.stores] == [Active(session)] * len(world.stores)
        await world.fill()
        result = await world.store.start(waiting := a_request())
        assert await world.stores[-1].start(waiting) == result
        assert len(await world.store.all()) == LIMITS.platform + 1

    async def test_a_freed_slot_goes_to_the_head_and_no_newcomer_passes(self, world: World) -> None:
        playing = await world.fill()
        waiting = [await world.queued(a_request()) for _ in range(2)]
        await world.store.stop(playing[0].id, EndReason.ENDED)
        assert await world.store.start(a_request(kind=Kind.IMPLICIT)) == LimitReached(Scope.SERVER, LIMITS.platform, ())
        late = await world.queued(a_request())
        assert isinstance(await world.store.get(waiting[0].id), Active)
        assert [each.id for each in await world.store.all()][-2:] == [waiting[1].id, late.id]
        statuses = await world.store.renew([Renewal(each) for each in (*waiting, late)])
        assert isinstance(statuses[waiting[0].id], Active)
        assert [(each.id, getattr(statuses[each.id], "position", 0)) for each in (waiting[1], late)] == [
            (waiting[1].id, 1),
            (late.id, 2),
        ]

    async def test_queue_passes_over_sessions_that_ended(self, world: World) -> None:
        playing = await world.fill()
        leaves, silent, stays = [await world.queued(a_request()) for _ in range(3)]
        await world.store.stop(leaves.id, EndReason.ENDED)
        await world.play(*playing, stays, sec=IDLE)
        assert await world.store.get(silent.id) == Ended(EndReason.EXPIRED)
        await world.store.stop(playing[0].id, EndReason.ENDED)
        assert isinstance(await world.store.get(stays.id), Active)

    async def test_a_slot_got_from_the_queue_begins_then(self, world: World) -> None:
        playing = await world.fill()
        waiting = await world.queued(a_request())
        await world.play(*playing, waiting, sec=25)
        await world.store.stop(playing[0].id, EndReason.ENDED)
        await world.jump(1)
        await world.play(*playing[1:], sec=IDLE - 1 - 0.001)
        status = await world.store.get(waiting.id)
        assert isinstance(status, Active)
        assert status.session.started_at == waiting.started_at + timedelta(seconds=25)
        await world.jump(0.001)
        assert await world.store.get(waiting.id) == Ended(EndReason.EXPIRED)

    async def test_promotion_passes_over_users_at_their_limit(self, world: World) -> None:
        # Only data that was lost and restored, in an unlucky order, makes such a user.
        filled = await world.fill()
        greedy = await world.queued(a_request("ann"))
        patient = await world.queued(a_request("bob"))
        others = [replace(filled[0], request=a_request("ann")) for _ in range(2)]
        await world.forget()
        renewed = [greedy, patient, *others, *filled[:2]]
        await world.play(*renewed, sec=IDLE)
        await world.store.stop(filled[0].id, EndReason.ENDED)
        users = Counter(each.request.user_id for each in await world.store.all() if each.state is State.ACTIVE)
        assert (users["ann"], users["bob"]) == (2, 1)

    # Implicit sessions

    async def test_an_implicit_session_is_one_for_all_requests_of_a_client(self, world: World) -> None:
        def asked(**changed: str) -> SessionRequest:
            return a_request("ann", kind=Kind.IMPLICIT, device_key="192.0.2.1 VLC", **changed)

        session = await world.granted(asked())
        results = await asyncio.gather(*(store.start(asked()) for store in world.stores for _ in range(4)))
        assert results == [Active(session)] * 4 * len(world.stores)
        other = await world.granted(asked(video_id="another"))
        assert isinstance(await world.store.start(asked(video_id="third")), LimitReached)
        assert {each.id for each in await world.store.all()} == {session.id, other.id}
        await world.store.stop(session.id, EndReason.ENDED)
        assert (await world.granted(asked())).id != session.id

    async def test_a_request_of_an_implicit_session_is_a_sign_of_life(self, world: World) -> None:
        request = a_request("ann", kind=Kind.IMPLICIT, device_key="curl")
        session = await world.granted(request)
        for _ in range(3):
            await world.wait(IDLE - 1)
            assert (await world.granted(replace(request, session_id=new_id()))).id == session.id

    async def test_an_implicit_session_never_waits(self, world: World) -> None:
        await world.fill()
        assert await world.store.start(a_request(kind=Kind.IMPLICIT)) == LimitReached(Scope.SERVER, LIMITS.platform, ())

    async def test_explicit_sessions_of_one_device_are_several(self, world: World) -> None:
        for _ in range(LIMITS.per_user):
            await world.granted(a_request("ann", device_key="same"))
        assert isinstance(await world.store.start(a_request("ann", device_key="same")), LimitReached)

    # Taking over

    async def test_device_takes_over_a_slot_before_those_that_wait(self, world: World) -> None:
        old = await world.granted(a_request("ann"))
        await world.granted(a_request("ann"))
        await world.fill()
        waiting = await world.queued(a_request())
        result = await world.stores[-1].start(a_request("ann"), instead_of=old.id)
        assert isinstance(result, Active)
        assert await world.store.get(old.id) == Ended(EndReason.REPLACED)
        assert isinstance(await world.store.get(waiting.id), Queued)

    async def test_a_device_takes_over_the_place_in_the_queue(self, world: World) -> None:
        await world.fill()
        old, *others = [await world.queued(a_request(name)) for name in ("ann", "bob", "cid")]
        result = await world.store.start(a_request("ann"), instead_of=old.id)
        assert isinstance(result, Queued)
        assert result.position == 1
        assert await world.store.get(old.id) == Ended(EndReason.REPLACED)
        assert [each.id for each in await world.store.all()][-3:] == [result.session.id, *(each.id for each in others)]

    async def test_a_takeover_that_can_not_be_granted_ends_nothing(self, world: World) -> None:
        await world.fill()
        old = await world.queued(a_request("ann"))
        result = await world.store.start(a_request("ann", kind=Kind.IMPLICIT), instead_of=old.id)
        assert result == LimitReached(Scope.SERVER, LIMITS.platform, (old,))
        assert isinstance(await world.store.get(old.id), Queued)

    async def test_takes_over_neither_from_another_user_nor_from_an_ended_session(self, world: World) -> None:
        theirs = await world.granted(a_request("bob"))
        await world.granted(a_request("ann"))
        over = await world.granted(a_request("ann"))
        await world.store.stop(over.id, EndReason.ENDED)
        assert isinstance(await world.store.start(a_request("ann"), instead_of=over.id), Active)
        result = await world.store.start(a_request("ann"), instead_of=theirs.id)
        assert isinstance(result, LimitReached)
        assert result.scope is Scope.USER
        assert isinstance(await world.store.get(theirs.id), Active)

    # Crowds

    async def test_rush_is_granted_exactly_the_free_slots(self, world: World) -> None:
        everyone = [store.start(a_request()) for store in world.stores for _ in range(40)]
        results = Counter(type(each) for each in await asyncio.gather(*everyone))
        assert results == {Active: LIMITS.platform, Queued: LIMITS.queue, LimitReached: len(everyone) - 7}

    async def test_it_can_be_asked_for_its_health(self, world: World) -> None:
        for store in world.stores:
            await store.ping()
