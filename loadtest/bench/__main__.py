"""The benchmark's command line: `python -m loadtest.bench`."""

from __future__ import annotations

import argparse
import resource
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

from kit.testing.servers import ServerError
from loadtest.bench.check import WrongBytesError
from loadtest.bench.client.process import ClientError
from loadtest.bench.machine import REPOSITORY
from loadtest.bench.media import UnusableFolderError
from loadtest.bench.plan import CONNECTIONS, SCENARIOS, SIZES, Plan, quick
from loadtest.bench.processes import ProcessError
from loadtest.bench.report import terminal, write_docs
from loadtest.bench.run import PEERS, run

_FILES = 65_536
_INTERRUPTED = 130


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.bench",
        description="Marquee's stream service side by side with nginx, Starlette and a plain generator.",
        epilog="Exit status: 0 all held, or not a full run; 1 a 'least' was missed or not judged; 2 nothing measured.",
    )
    parser.add_argument("--quick", action="store_true", help="a minute and a half: fewer loads, shorter, no judgement")
    parser.add_argument("--peers", type=_names(PEERS), help=f"which servers, separated by commas: {','.join(PEERS)}")
    parser.add_argument("--sizes", type=_names(SIZES), help=f"which ranges: {','.join(SIZES)}")
    parser.add_argument("--connections", type=_numbers, help=f"how many: {','.join(map(str, CONNECTIONS))}")
    parser.add_argument("--rounds", type=int, help="how often all servers take their turn")
    parser.add_argument("--seconds", type=float, help="length of each measured window")
    parser.add_argument("--scenarios", type=_names((*SCENARIOS, "none")), help=f"which: {','.join(SCENARIOS)}, or none")
    parser.add_argument("--folder", type=Path, help="where the served files are for the time of the run (.cache)")
    parser.add_argument("--output", type=Path, help="the results' JSON file (loadtest/results/<time>.json)")
    parser.add_argument("--docs", type=Path, help="write benchmarks.md and its picture here, after a full run")
    return parser.parse_args(words)


def plan_of(given: argparse.Namespace) -> Plan:
    """Return the plan for these options. A run that leaves something out does not judge the promises."""
    full = Plan(peers=list(PEERS))
    plan = quick(full) if given.quick else full
    asked = {
        "peers": given.peers,
        "sizes": given.sizes,
        "connections": given.connections,
        "rounds": given.rounds,
        "seconds": given.seconds,
        "scenarios": [name for name in given.scenarios if name != "none"] if given.scenarios else None,
    }
    changed = {name: value for name, value in asked.items() if value is not None}
    return plan.model_copy(update={**changed, "is_full": plan.is_full and not changed})


def main() -> int:
    """Run the benchmark; return the exit status."""
    given = arguments()
    plan = plan_of(given)
    folder = (given.folder or REPOSITORY / ".cache").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    _allow_many_files()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    try:
        results = run(plan, folder)
    except (ClientError, ProcessError, ServerError, UnusableFolderError, WrongBytesError) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("bench: interrupted; everything it started has ended.\n")
        return _INTERRUPTED
    output = given.output or REPOSITORY / "loadtest" / "results" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(results.model_dump_json(indent=1) + "\n")
    if given.docs and plan.is_full:
        write_docs(results, given.docs)
    sys.stdout.write(f"{terminal(results)}Results: {output}\n")
    return 1 if plan.is_full and not results.all_kept else 0


def _names(known: Collection[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if strangers := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{strangers[0]} is none of {', '.join(known)}")
        return names

    return parse


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _allow_many_files() -> None:
    """Raise the limit of open files, also of children: a thousand viewers need as many descriptors at either end."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
