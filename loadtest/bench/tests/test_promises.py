from __future__ import annotations

import pytest

from loadtest.bench.client.jobs import MixedResult, Throughput
from loadtest.bench.plan import Plan
from loadtest.bench.procfs import CpuUse, Memory
from loadtest.bench.promises import judge
from loadtest.bench.results import Audience, Cell, MemoryUse, Promise, Seeks, SlowDisk
from loadtest.bench.stats import Latency, Spread

PLAN = Plan(peers=["marquee", "nginx", "file-response"])


def cpu(seconds: float) -> CpuUse:
    return CpuUse(server_sec=seconds, client_share=0.5, others_share=0)


def window(gb: float, cpu_sec: float = 1, errors: int = 0) -> Throughput:
    first = Latency(samples=1, p50_ms=1, p99_ms=1, max_ms=1)
    return Throughput(seconds=1, responses=1, bytes=int(gb * 1e9), errors=errors, first_byte=first, cpu=cpu(cpu_sec))


def mixed(p99_ms: float = 1, grown: int = 0, errors: int = 0, behind: int = 0) -> MixedResult:
    return MixedResult(
        seconds=1,
        bytes=1,
        errors=errors,
        viewers_behind=behind,
        first_byte=Latency(samples=1, p50_ms=1, p99_ms=p99_ms, max_ms=p99_ms),
        cpu=cpu(0.1),
        memory_before=Memory(bytes=1000, measure="PSS"),
        memory_during=Memory(bytes=1000 + grown, measure="PSS"),
        tcp_memory_bytes=0,
    )


def cells(ours: float, *, errors: int = 0) -> list[Cell]:
    rates = {"marquee": ours, "nginx": 2.0, "file-response": 0.5}
    return [
        Cell(peer=peer, size=size, connections=8, rounds=[window(rate, errors=errors if peer == "marquee" else 0)])
        for size in ("1m", "64k")
        for peer, rate in rates.items()
    ]


def scenario_promises(**changed: MixedResult) -> list[Promise]:
    found = {"memory": mixed(grown=100 * 20 * 1024), "seek": mixed(15), "beside": mixed(1.05), "audience": mixed()}
    found |= changed
    return judge(
        PLAN,
        [],
        [MemoryUse(peer="marquee", connections=100, result=found["memory"])],
        [Seeks(peer="marquee", viewers=200, fast_readers=0, rounds=[found["seek"]])],
        [SlowDisk(peer="marquee", without=[mixed(1)], beside=[found["beside"]])],
        [
            Audience(peer="marquee", viewers=500, result=mixed()),
            Audience(peer="marquee", viewers=1000, result=found["audience"]),
        ],
        has_nowait=True,
    )


def verdicts(promises: list[Promise]) -> list[str]:
    return [promise.verdict for promise in promises]


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        # against nginx 1 MiB, 64 KiB; against FileResponse; CPU: the same seconds for `rate` instead of 2 GB
        (3.0, ["aim", "aim", "aim", "aim"]),
        (2.2, ["pass", "aim", "pass", "aim"]),
        (1.5, ["miss", "aim", "miss", "pass"]),
        (0.8, ["miss", "miss", "miss", "miss"]),
    ],
)
def test_throughput_is_compared_with_the_bounds(rate: float, expected: list[str]) -> None:
    assert verdicts(judge(PLAN, cells(rate), [], [], [], [], has_nowait=True))[:4] == expected


def test_promises_without_measurements_are_not_judged() -> None:
    assert set(verdicts(judge(PLAN, [], [], [], [], [], has_nowait=True))) == {"not judged"}


def test_small_ranges_are_not_judged_on_a_store_without_nowait() -> None:
    promises = judge(PLAN, cells(3.0), [], [], [], [], has_nowait=False)
    assert verdicts(promises)[:2] == ["aim", "not judged"]
    assert "RWF_NOWAIT" in promises[1].not_judged_because


def test_speed_with_errors_is_a_miss() -> None:
    assert verdicts(judge(PLAN, cells(3.0, errors=1), [], [], [], [], has_nowait=True))[:4] == ["miss"] * 4


def test_scenarios_that_reach_their_aims() -> None:
    assert verdicts(scenario_promises())[4:] == ["aim"] * 4


@pytest.mark.parametrize(
    ("changed", "at", "expected"),
    [
        ({"memory": mixed(grown=100 * 50 * 1024)}, 4, "pass"),
        ({"memory": mixed(grown=100 * 65 * 1024)}, 4, "miss"),
        ({"seek": mixed(99)}, 5, "pass"),
        ({"seek": mixed(101)}, 5, "miss"),
        ({"seek": mixed(1, errors=1)}, 5, "miss"),
        ({"beside": mixed(1.9)}, 6, "pass"),
        ({"beside": mixed(2.1)}, 6, "miss"),
        ({"audience": mixed(behind=1)}, 7, "pass"),
        ({"audience": mixed(errors=1)}, 7, "pass"),
    ],
)
def test_scenarios_are_compared_with_the_bounds(changed: dict[str, MixedResult], at: int, expected: str) -> None:
    assert scenario_promises(**changed)[at].verdict == expected


def test_unserved_viewers_miss_the_promise() -> None:
    bad = [Audience(peer="marquee", viewers=500, result=mixed(behind=1))]
    assert judge(PLAN, [], [], [], [], bad, has_nowait=True)[7].verdict == "miss"


def test_bounds_themselves_are_kept() -> None:
    exactly = Spread(median=1.0, low=1.0, high=1.0)
    for better in ("higher", "lower"):
        promise = Promise.model_validate(
            {"name": "x", "unit": "ratio", "better": better, "least": 1, "aim": 1, "measured": exactly}
        )
        assert promise.verdict == "aim"
