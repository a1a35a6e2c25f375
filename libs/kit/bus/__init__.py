"""The event bus: the port that services use, and its adapters in `kit.bus.local` and `kit.bus.rabbit`."""

from kit.bus.port import Bus, BusUnavailableError, DeadLetter, Delivery, Handler, RejectedEventError, Subscription

__all__ = [
    "Bus",
    "BusUnavailableError",
    "DeadLetter",
    "Delivery",
    "Handler",
    "RejectedEventError",
    "Subscription",
]
