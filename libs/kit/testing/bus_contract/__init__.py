"""What every adapter of the bus port must do. An adapter's tests inherit `BusContract` and say how to make one."""

from kit.testing.bus_contract.delivery import DeliveryContract
from kit.testing.bus_contract.failures import FailureContract
from kit.testing.bus_contract.harness import (
    DEADLINE_SEC,
    Failing,
    Recorder,
    event,
    eventually,
    eventually_equal,
    start,
)
from kit.testing.bus_contract.lifecycle import LifecycleContract


class BusContract(DeliveryContract, FailureContract, LifecycleContract):
    """Tests of a bus. A subclass provides `new_bus`."""


__all__ = [
    "DEADLINE_SEC",
    "BusContract",
    "Failing",
    "Recorder",
    "event",
    "eventually",
    "eventually_equal",
    "start",
]
