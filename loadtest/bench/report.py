"""Tables of a run, for the terminal and for docs/benchmarks.md.

python -m loadtest.bench.report RESULTS.json DOCS    writes the page and its chart again from a run's results
"""

from __future__ import annotations

import sys
from pathlib import Path

from loadtest.bench.plan import JUDGED_CONNECTIONS, SIZE_TITLES
from loadtest.bench.plot import plot
from loadtest.bench.results import REFERENCE, Cell, Promise, Results
from loadtest.bench.run import PEERS
from loadtest.bench.tables import TIMES, Table, figure, median, with_spread

_DISTURBED_SHARE = 0.1
_SATURATED_SHARE = 0.95
_VERDICTS = {"aim": "PASS, aim reached", "pass": "PASS", "miss": "MISS", "not judged": "not judged"}


def promises_table(results: Results) -> Table:
    """Return the table of promises and whether they were kept."""
    rows = [
        (
            promise.name,
            with_spread(promise.measured, _unit(promise)),
            _bound(promise, promise.least),
            _bound(promise, promise.aim),
            _VERDICTS[promise.verdict] + (f" ({promise.errors} errors)" if promise.errors else ""),
        )
        for promise in results.promises
    ]
    reasons = [promise.not_judged_because for promise in results.promises if promise.not_judged_because]
    return Table(
        "Must hold", ("measured side by side", "measured", "least", "aim", "verdict"), rows, note="\n".join(reasons)
    )


def throughput_tables(results: Results) -> list[Table]:
    """Return one table per size, with ratios against nginx first."""
    tables = []
    columns = ("connections", "server", f"{TIMES} nginx", "GB/s", "req/s", "first byte p50 ms", "p99 ms", "CPU s/GB")
    for size in results.plan.sizes:
        rows = [_throughput_row(results, cell) for cell in results.cells if cell.size == size]
        if rows:
            tables.append(Table(SIZE_TITLES[size], columns, rows, text_columns=2))
    return tables


def scenario_tables(results: Results) -> list[Table]:
    """Return the tables of memory, seeks, slow disk, viewers and starts, as far as they were measured."""
    tables = [
        _memory_table(results),
        _seek_table(results),
        _slow_disk_table(results),
        _audience_table(results),
        _starts_table(results),
    ]
    return [table for table in tables if table.rows]


def conditions(results: Results) -> list[str]:
    """Return notes about the machine and about disturbances of the run."""
    machine, plan = results.machine, results.plan
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    nowait = "answers RWF_NOWAIT" if machine.has_nowait else "has no RWF_NOWAIT"
    apart = "on different cores" if machine.server_cores != machine.client_cores else "on ONE core, which distorts all"
    lines = [
        f"{machine.cores} {TIMES} {machine.cpu}, {machine.memory_gib} GiB, {machine.kernel}",
        f"{versions}; Marquee {machine.commit}",
        f"Server and client share this machine, {apart}, and talk over loopback; the file is kept in the page cache.",
        f"Store: {machine.file_system}, which {nowait}.",
        f"{plan.rounds} rounds of {plan.seconds} s turn about, after warm-up.",
    ]
    windows = results.windows()
    disturbed = sum(one.cpu.others_share > _DISTURBED_SHARE for one in windows)
    saturated = sum(one.cpu.client_share > _SATURATED_SHARE for one in windows)
    lines.append(
        f"Of {len(windows)} windows, other processes took over {_DISTURBED_SHARE:.0%} of a core in {disturbed},"
        f" and the client itself was at its limit in {saturated}."
    )
    if errors := sum(one.errors for one in windows):
        first = next(one.first_error for one in windows if one.errors)
        lines.append(f"{errors} answers were wrong or broken, the first: {first}")
    return lines


def terminal(results: Results) -> str:
    """Return the whole report as plain text."""
    kind = (
        "" if results.plan.is_full else "A part of the benchmark: its verdicts are a hint, and not the exit status.\n"
    )
    tables = [*throughput_tables(results), *scenario_tables(results), promises_table(results)]
    return "\n".join([*(table.plain() for table in tables), *conditions(results), kind])


def page(results: Results) -> str:
    """Return docs/benchmarks.md."""
    sections = [
        _INTRODUCTION,
        promises_table(results).markdown(),
        f"{_MUST_HOLD}\n## Throughput\n\n{_THROUGHPUT}",
        *(f"### {table.title}\n\n{table.markdown()}" for table in throughput_tables(results)),
        *(f"## {table.title}\n\n{table.markdown()}" for table in scenario_tables(results)),
        f"## The machine of these figures\n\n{_bullets([*conditions(results), f'{results.started_at:%B %Y}.'])}",
        f"## The servers\n\n{_servers(results).markdown()}\n{_SERVERS}",
        _HOW,
    ]
    return "\n".join(sections)


def write_docs(results: Results, docs: Path) -> None:
    """Write the page and its chart."""
    images = docs / "images"
    images.mkdir(parents=True, exist_ok=True)
    titles = {name: peer.title for name, peer in PEERS.items()}
    (images / "benchmarks.svg").write_text(plot(results, titles))
    (docs / "benchmarks.md").write_text(page(results))


def _throughput_row(results: Results, cell: Cell) -> tuple[str, ...]:
    reference = results.cell(REFERENCE, cell.size, cell.connections)
    ratio = cell.ratio(reference, lambda one: one.gb_per_sec) if reference else None
    name = PEERS[cell.peer].title + (f" ({cell.errors} errors)" if cell.errors else "")
    return (
        str(cell.connections),
        name,
        median(ratio) if cell.peer == REFERENCE else with_spread(ratio),
        median(cell.spread(lambda one: one.gb_per_sec)),
        median(cell.spread(lambda one: one.responses_per_sec)),
        median(cell.spread(lambda one: one.first_byte.p50_ms)),
        median(cell.spread(lambda one: one.first_byte.p99_ms)),
        median(cell.spread(lambda one: one.cpu_sec_per_gb)),
    )


def _memory_table(results: Results) -> Table:
    rows = [
        (
            PEERS[one.peer].title,
            figure(one.connections),
            figure(one.bytes_per_connection / 1024),
            figure(one.kernel_bytes_per_connection / 1024),
            figure(one.result.memory_before.bytes / 2**20),
            str(one.result.errors),
        )
        for one in results.memory
    ]
    measure = results.memory[0].result.memory_during.measure if results.memory else ""
    columns = (
        "server",
        "paced connections",
        f"KiB each ({measure})",
        "KiB each in TCP buffers, both ends",
        "MiB before",
        "errors",
    )
    return Table("Memory of a connection in the middle of a response", columns, rows)


def _seek_table(results: Results) -> Table:
    rows = [
        (
            PEERS[one.peer].title,
            str(one.viewers),
            str(one.fast_readers),
            with_spread(one.p99_ms),
            figure(sum(part.first_byte.samples for part in one.rounds)),
            str(sum(part.errors for part in one.rounds)),
        )
        for one in results.seeks
    ]
    columns = ("server", "paced viewers", "fast readers", "p99 to first byte ms", "seeks", "errors")
    return Table("Seeking while others watch", columns, rows)


def _slow_disk_table(results: Results) -> Table:
    rows = [
        (
            PEERS[one.peer].title,
            with_spread(one.ratio),
            *(
                figure(max((part.first_byte.p99_ms or 0 for part in parts), default=None))
                for parts in (one.without, one.beside)
            ),
            str(sum(part.errors for part in (*one.without, *one.beside))),
        )
        for one in results.slow_disk
    ]
    columns = ("server", "p99 beside ÷ alone", "worst p99 alone ms", "worst p99 beside ms", "errors")
    return Table("Others' time to first byte beside four viewers of a disk of 100 ms latency", columns, rows)


def _audience_table(results: Results) -> Table:
    rows = [
        (
            PEERS[one.peer].title,
            str(one.viewers),
            figure(one.result.seconds),
            str(one.result.errors),
            str(one.result.viewers_behind),
            f"{one.result.cpu.server_sec / one.result.seconds:.0%}",
            figure(one.result.bytes * 8 / one.result.seconds / 1e6),
        )
        for one in results.audiences
    ]
    columns = ("server", "viewers", "seconds", "errors", "behind", "CPU of one core", "Mbit/s")
    return Table("Paced viewers, 2 Mbit/s each", columns, rows)


def _starts_table(results: Results) -> Table:
    rows = [
        (
            PEERS[one.peer].title,
            str(one.per_sec),
            figure(one.result.first_byte.samples),
            figure(one.result.first_byte.p50_ms),
            figure(one.result.first_byte.p99_ms),
            figure(one.result.first_byte.max_ms),
            str(one.result.errors),
        )
        for one in results.starts
    ]
    columns = ("server", "starts a second", "starts", "first byte p50 ms", "p99 ms", "longest ms", "errors")
    return Table("Viewers who come for the first time: connection, login, play session, first byte", columns, rows)


def _servers(results: Results) -> Table:
    rows = [(PEERS[name].title, PEERS[name].description) for name in results.plan.peers]
    return Table("The servers", ("server", "what it is"), rows, text_columns=2)


def _unit(promise: Promise) -> str:
    return TIMES if promise.unit == "ratio" else f" {promise.unit}"


def _bound(promise: Promise, value: float) -> str:
    return f"{'≥' if promise.better == 'higher' else '≤'} {value:g}{_unit(promise)}"


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) + "\n"


_INTRODUCTION = f"""\
# Benchmarks

<!-- Made by `make bench`; change loadtest/bench, not this page. -->

Marquee's stream service beside the servers that it is compared with: the same file, the same client, one worker each,
on one machine, in one run and turn about. Marquee is the whole production path: a Bearer token verified (every viewer
has one of their own), the access log written, metrics counted. The others ask for no authorisation and write no log.

![GB/s of each server with {JUDGED_CONNECTIONS} connections](images/benchmarks.svg)

## Must hold
"""
_MUST_HOLD = f"""\
Throughput is judged at {JUDGED_CONNECTIONS} connections. A ratio is the median of the ratios of neighbouring windows;
the lowest and the highest round stand in brackets. A GB is 10^9 bytes of bodies.
"""
_THROUGHPUT = """\
Random ranges of a file of 1 GiB; for open-ended ones, of a file of 2 MiB. The first byte is the first one of the body.
Where a window is shorter than an answer takes among so many connections, hardly any answer ends in it, and the bytes
say more than the answers do.
"""
_SERVERS = """\
Those under uvicorn get Marquee's listening socket with `TCP_NODELAY`, without which they would wait for delayed
acknowledgements. Each server, with all its processes and threads, is held on one core, and the client on another.

The client is one process with epoll. It parses each answer's header, requires status 206 and the right Content-Length,
counts the bytes of the body and has the kernel throw them away (`MSG_TRUNC`). Before anything is timed, random ranges
of each server are compared with the file byte by byte.
"""
_HOW = """\
## How to repeat

```sh
make bench            # about 13 minutes on an idle machine with two cores or more; writes this page
make bench QUICK=1    # a minute and a half; a look, not a judgement
.venv/bin/python -m loadtest.bench --help    # servers, sizes, connections, seconds, rounds, scenarios, output
```

It installs nginx, RabbitMQ and FUSE from Debian's packages when they are missing, needs 2 GB on a real disk, and leaves
nothing behind but the results in `loadtest/results`. The exit status of a full run is 0 when every "least" was held.

## What these figures do not say

- Loopback has no losses and no network card: they compare what the servers cost, and are not what a network delivers.
- The client shares memory, caches and the host with the server. Trust the ratios, not the absolute figures.
- The file is in memory. A disk that is slower than the network limits every server alike; only the slow disk's rows
  leave the page cache.
- There is no TLS and no gateway in front of anybody.
- One worker on one core: nginx and Marquee both use more cores with more workers.
- The kernel's TCP buffers hold more for a slow connection than either server does; that column counts both ends.
"""


if __name__ == "__main__":
    write_docs(Results.model_validate_json(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
