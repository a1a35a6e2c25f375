"""When a finished session gives way to the next one of its client."""

from __future__ import annotations

from dataclasses import replace

from kit.ids import derived_id, new_id
from marquee.events.v1 import stream_pb2
from services.stream.slots import Active, Ended, EndReason, LimitReached, Renewal
from services.stream.tests.unit.slots.support import LIMITS, World, a_request, of_client


class FinishedSessionsContract:
    """Tests of implicit sessions whose client has all bytes."""

    async def test_finished_implicit_session_gives_way_to_next_video_of_its_client(self, world: World) -> None:
        first, second = [await world.granted(of_client("ann", "curl")) for _ in range(LIMITS.per_user)]
        await world.store.renew([Renewal(second, 5)])
        await world.store.renew([Renewal(first, 7, is_finished=True)])
        third = await world.granted(of_client("ann", "curl"))
        for store in world.stores:
            assert await store.get(first.id) == Ended(EndReason.REPLACED)
            assert {each.id for each in await store.of_user("ann")} == {second.id, third.id}
        # The events of the others' ends come when nothing shows a sign of life any more.
        (stopped,) = [event for event in await world.events() if event.id == derived_id(first.id, "stream.stopped")]
        body = stopped.read(stream_pb2.StreamStopped)
        assert (body.bytes_transferred, body.reason) == (7, "replaced")

    async def test_fetches_video_after_video_with_one_open(self, world: World) -> None:
        for number in range(4 * LIMITS.per_user):
            store = world.stores[number % len(world.stores)]
            result = await store.start(of_client("ann", "curl"))
            assert isinstance(result, Active)
            await store.renew([Renewal(result.session, 1, is_finished=True)])
        assert len(await world.store.of_user("ann")) == LIMITS.per_user

    async def test_nothing_else_gives_way(self, world: World) -> None:
        other_device = await world.granted(of_client("ann", "vlc"))
        explicit = await world.granted(a_request("ann"))
        await world.store.renew([Renewal(each, is_finished=True) for each in (other_device, explicit)])
        own = (other_device, explicit)
        for request in (of_client("ann", "curl"), a_request("ann"), a_request("ann", device_key="vlc")):
            refused = await world.store.start(request)
            assert isinstance(refused, LimitReached)
            assert {each.id for each in refused.sessions} == {each.id for each in own}
        await world.granted(of_client("bob", "vlc"))

    async def test_finished_session_stays_while_there_is_room(self, world: World) -> None:
        first = await world.granted(of_client("ann", "curl"))
        await world.store.renew([Renewal(first, is_finished=True)])
        await world.granted(of_client("ann", "curl"))
        assert isinstance(await world.store.get(first.id), Active)

    async def test_finished_session_that_is_asked_for_again_stays(self, world: World) -> None:
        requests = [of_client("ann", "curl") for _ in range(LIMITS.per_user)]
        sessions = [await world.granted(request) for request in requests]
        await world.store.renew([Renewal(each, is_finished=True) for each in sessions])
        for request, session in zip(requests, sessions, strict=True):
            result = await world.stores[-1].start(replace(request, session_id=new_id()))
            assert isinstance(result, Active)
            assert result.session.id == session.id
        assert isinstance(await world.store.start(of_client("ann", "curl")), LimitReached)

    async def test_session_that_any_replica_sends_does_not_give_way(self, world: World) -> None:
        requests = [of_client("ann", "curl") for _ in range(LIMITS.per_user)]
        sessions = [await world.granted(request) for request in requests]
        for store in world.stores:
            for request in requests:
                await store.start(request)
        for store in world.stores:
            assert isinstance(await world.store.start(of_client("ann", "curl")), LimitReached)
            await store.renew([Renewal(each, is_finished=True) for each in sessions])
        await world.granted(of_client("ann", "curl"))

    async def test_finished_session_gives_its_platform_slot_to_its_client(self, world: World) -> None:
        first = await world.granted(of_client("ann", "curl"))
        await world.store.renew([Renewal(first, is_finished=True)])
        await world.fill()
        await world.queued(a_request())
        assert isinstance(await world.store.start(of_client("bob", "curl")), LimitReached)
        await world.granted(of_client("ann", "curl"))
        assert await world.store.get(first.id) == Ended(EndReason.REPLACED)

    async def test_longest_silent_finished_session_gives_way(self, world: World) -> None:
        first, second = [await world.granted(of_client("ann", "curl")) for _ in range(LIMITS.per_user)]
        await world.jump(1)
        await world.store.renew([Renewal(first, is_finished=True), Renewal(second, idle_sec=1, is_finished=True)])
        await world.granted(of_client("ann", "curl"))
        assert await world.store.get(second.id) == Ended(EndReason.REPLACED)
        assert isinstance(await world.store.get(first.id), Active)
