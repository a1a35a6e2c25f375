"""The service in a process of its own, so that its memory can be watched: prints its port and the
id of its film, then a line of counters (answers being sent, bytes sent) for each line of its input, and ends with it.

python -m services.stream.tests.integration.server_process <store> <folder for sockets> <file> [<settings as JSON>]
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from kit.telemetry import configure_logging
from services.stream.tests.support import running


async def main(root: Path, sockets: Path, name: str, settings: str = "{}") -> None:
    """Serves one file of the store."""
    configure_logging("warning", "json")
    async with running(root, sockets, **json.loads(settings)) as harness:
        sys.stdout.write(f"{harness.port} {harness.add(root / name)}\n")
        sys.stdout.flush()
        while await asyncio.to_thread(sys.stdin.readline):
            sys.stdout.write(f"{harness.traffic.active} {harness.traffic.bytes_sent}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
