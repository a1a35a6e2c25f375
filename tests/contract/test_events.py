"""The registry of events and what the services subscribe to agree."""

from __future__ import annotations

from apps.marquee.embedded import SERVICES
from apps.marquee.reference.events import events_page, subscriptions
from kit.bus import Delivery
from kit.bus.topics import any_matches
from kit.events.registry import EVENTS
from services.catalog.service.dead_letters import QUEUES


def test_every_required_consumer_has_a_work_subscription() -> None:
    consumed = {
        (subscription.name.partition(".")[0], each.name)
        for subscription in subscriptions()
        for each in EVENTS
        if subscription.delivery is Delivery.WORK and any_matches(subscription.types, each.name)
    }
    required = {(consumer, each.name) for each in EVENTS for consumer in each.required_consumers}
    assert required
    assert required <= consumed


def test_dead_letters_are_listed_of_every_work_subscription() -> None:
    work = {each.name for each in subscriptions() if each.delivery is Delivery.WORK}
    assert set(QUEUES) == work


def test_producers_and_consumers_are_services() -> None:
    for each in EVENTS:
        assert each.producers | each.required_consumers <= set(SERVICES)


def test_the_reference_describes_every_event_with_its_fields() -> None:
    page = events_page()
    for each in EVENTS:
        section = page.partition(f"\n## {each.name}\n")[2].partition("\n## ")[0]
        assert all(f"| `{field.name}` |" in section for field in each.message.DESCRIPTOR.fields)
    assert "| `reference` | string | Where the file is in the media store. |" in page
    assert "`catalog.media`" in page
