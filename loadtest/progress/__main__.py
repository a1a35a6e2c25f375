"""The command line of the benchmark of progress reports: `python -m loadtest.progress`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kit.testing.servers import PostgresServer, free_port, server_directory
from loadtest.bench.processes import Process, wait_for
from loadtest.bench.procfs import CpuUse, Usage
from loadtest.progress import viewers
from loadtest.progress.viewers import Load, Viewer

VIEWERS = 2000
EVERY_SEC = 5.0
REPORT = "benchmarks-progress.md"
_SERVERS = {"marquee": "Marquee", "bare": "bare FastAPI and SQLAlchemy"}


@dataclass(frozen=True, slots=True)
class Row:
    """What one server did on one database."""

    server: str
    database: str
    load: Load
    use: CpuUse


def measure(url: str, server: str, people: Sequence[Viewer], key_file: Path, per_second: float, seconds: float) -> Row:
    """Start a server, warm it up, report, and stop it."""
    port = free_port()
    command = [sys.executable, "-m", "loadtest.progress.servers", server, str(port), str(key_file)]
    environment = {"MARQUEE_DATABASE_URL": url, "MARQUEE_BROKER_URL": "amqp://127.0.0.1:1"}
    process = Process(server, command, frozenset(os.sched_getaffinity(0)), environment).start()
    try:
        wait_for(process, "/healthz", port)
        # Each token is verified once, at its first use.
        asyncio.run(viewers.report(port, people, per_second, len(people) / per_second))
        usage = Usage(process.tree())
        load = asyncio.run(viewers.report(port, people, per_second, seconds))
        return Row(_SERVERS[server], url.partition(":")[0].partition("+")[0], load, usage.stop(load.seconds))
    finally:
        process.stop()


def report_of(rows: Sequence[Row], people: int, per_second: float) -> str:
    """Return the page of the results, in Markdown."""
    lines = []
    for row in rows:
        load, waiting = row.load, row.load.waiting
        cost = 1000 * row.use.server_sec / load.answered
        cells = (
            row.database,
            row.server,
            f"{load.answered / load.seconds:.0f}",
            f"{waiting.p50_ms:.1f} · {waiting.p99_ms:.1f} ms",
            f"{cost:.2f} ms",
            f"{row.use.others_share:.2f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    table = "\n".join(lines)
    return f"""# Progress reports, measured

Made by `python -m loadtest.progress` on {datetime.now(UTC).date()}, with {os.cpu_count()} processors and a load of
{os.getloadavg()[1]:.1f} over five minutes. {people} viewers report in turn, {per_second:.0f} reports a second, to one
process; the wait counts from the moment a report was due, also when the server was behind. The bare application has the
same tables and the same durability, but no rules, tokens, logs and metrics.

| database | server | answered a second | wait, p50 · p99 | processor time a report | cores that others used |
| --- | --- | --- | --- | --- | --- |
{table}
"""


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print the results, and write them into the docs if asked."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.progress", description=__doc__)
    parser.add_argument("--viewers", type=int, default=VIEWERS)
    parser.add_argument("--per-second", type=float, help="reports; each viewer's every five seconds by default")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--docs", type=Path, help=f"write {REPORT} here")
    given = parser.parse_args(words)
    per_second = given.per_second or given.viewers / EVERY_SEC
    rows = []
    with (
        server_directory() as folder,
        PostgresServer(folder) as server,
        tempfile.TemporaryDirectory(prefix="marquee-progress-") as files,
    ):
        key_file = Path(files) / "keys.json"
        people = viewers.make_viewers(given.viewers, key_file)
        for url in (f"sqlite+aiosqlite:///{files}/progress.db", server.create_database("progress")):
            asyncio.run(viewers.fill(url, people))
            rows += [measure(url, each, people, key_file, per_second, given.seconds) for each in _SERVERS]
    page = report_of(rows, given.viewers, per_second)
    sys.stdout.write(page)
    if given.docs:
        (given.docs / REPORT).write_text(page)


if __name__ == "__main__":
    main()
