"""The event bus: the port that services use, and its adapters in `kit.bus.local` and `kit.bus.rabbit`."""

from kit.bus.port import Bus, BusUnavailable, DeadLetter, Delivery, Handler, Reject, Subscription

__all__ = [
    "Bus",
    "BusUnavailable",
    "DeadLetter",
    "Delivery",
    "Handler",
    "Reject",
    "Subscription",
]
