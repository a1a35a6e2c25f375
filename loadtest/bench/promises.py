"""Figures that the stream service must reach, and those it aims at."""

from __future__ import annotations

from loadtest.bench.client.jobs import Throughput
from loadtest.bench.plan import JUDGED_CONNECTIONS, Plan, Size
from loadtest.bench.results import REFERENCE, SUBJECT, Audience, Cell, MemoryUse, Promise, Seeks, SlowDisk, find
from loadtest.bench.stats import Spread

_NO_NOWAIT = "this store has no RWF_NOWAIT: choose one on ext4 or XFS with --folder"


def judge(
    plan: Plan,
    cells: list[Cell],
    memory: list[MemoryUse],
    seeks: list[Seeks],
    slow_disk: list[SlowDisk],
    audiences: list[Audience],
    *,
    has_nowait: bool,
) -> list[Promise]:
    """Compare measured figures with the promised ones."""
    against_nginx = _throughput(cells, "1m", REFERENCE)
    small = _throughput(cells, "64k", REFERENCE)
    file_response = _throughput(cells, "1m", "file-response")
    return [
        Promise(
            name="1 MiB ranges, authorised, against nginx static",
            unit="ratio",
            better="higher",
            least=1.0,
            aim=1.3,
            measured=against_nginx,
            errors=_errors(cells, "1m"),
        ),
        Promise(
            name="64 KiB ranges, authorised, against nginx static",
            unit="ratio",
            better="higher",
            least=0.45,
            aim=0.7,
            measured=small,
            errors=_errors(cells, "64k"),
            not_judged_because="" if has_nowait else _NO_NOWAIT,
        ),
        Promise(
            name="1 MiB ranges, against Starlette FileResponse",
            unit="ratio",
            better="higher",
            least=4.0,
            aim=6.0,
            measured=file_response,
            errors=_errors(cells, "1m"),
        ),
        Promise(
            name="CPU seconds per GB, 1 MiB ranges, against nginx static",
            unit="ratio",
            better="lower",
            least=1.5,
            aim=1.1,
            measured=_ratio(cells, "1m", REFERENCE, of_cpu=True),
            errors=_errors(cells, "1m"),
        ),
        *_scenarios(plan, memory, seeks, slow_disk, audiences),
    ]


def _scenarios(
    plan: Plan, memory: list[MemoryUse], seeks: list[Seeks], slow_disk: list[SlowDisk], audiences: list[Audience]
) -> list[Promise]:
    held = next((one for one in memory if one.peer == SUBJECT), None)
    seek = next((one for one in seeks if one.peer == SUBJECT and not one.fast_readers), None)
    slow = next((one for one in slow_disk if one.peer == SUBJECT), None)
    served = [one.viewers for one in audiences if one.peer == SUBJECT and one.is_served]
    return [
        Promise(
            name="memory per paced open connection",
            unit="KiB",
            better="lower",
            least=64,
            aim=24,
            measured=_single(held.bytes_per_connection / 1024) if held else None,
            errors=held.result.errors if held else 0,
        ),
        Promise(
            name=f"p99 time to first byte of a seek, {plan.seek_viewers} paced streams running",
            unit="ms",
            better="lower",
            least=100,
            aim=20,
            measured=seek.p99_ms if seek else None,
            errors=sum(one.errors for one in seek.rounds) if seek else 0,
        ),
        Promise(
            name="others' p99 while a file sits on a disk of 100 ms latency, against without",
            unit="ratio",
            better="lower",
            least=2.0,
            aim=1.1,
            measured=slow.ratio if slow else None,
            errors=sum(one.errors for one in (*slow.without, *slow.beside)) if slow else 0,
        ),
        Promise(
            name="paced viewers (2 Mbit/s each) without error, none behind",
            unit="viewers",
            better="higher",
            least=500,
            aim=1000,
            measured=_single(max(served, default=0)) if audiences else None,
        ),
    ]


def _throughput(cells: list[Cell], size: Size, other: str) -> Spread | None:
    return _ratio(cells, size, other, of_cpu=False)


def _ratio(cells: list[Cell], size: Size, other: str, *, of_cpu: bool) -> Spread | None:
    ours, theirs = find(cells, SUBJECT, size, JUDGED_CONNECTIONS), find(cells, other, size, JUDGED_CONNECTIONS)
    if ours is None or theirs is None:
        return None
    return ours.ratio(theirs, _cpu if of_cpu else _rate)


def _rate(one: Throughput) -> float:
    return one.gb_per_sec


def _cpu(one: Throughput) -> float:
    return one.cpu_sec_per_gb


def _errors(cells: list[Cell], size: Size) -> int:
    ours = find(cells, SUBJECT, size, JUDGED_CONNECTIONS)
    return ours.errors if ours else 0


def _single(value: float) -> Spread:
    return Spread(median=value, low=value, high=value)
