"""Builds one virtual file of a source that nobody trusts, in a process that does nothing else.

`process.py` starts it in an isolated interpreter. It reads the source as standard input, and answers on standard output
with a line of JSON, followed by the virtual file's header.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys

from services.stream.mp4.build import build_at
from services.stream.mp4.errors import StartBeyondEnd, Unsupported

_PR_SET_PDEATHSIG = 1


def confine(parent_pid: int, memory_bytes: int, cpu_sec: int) -> None:
    """Bounds what this process may use, and ties its life to its parent's."""
    for what, amount in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_sec),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(what, (amount, amount))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(1)


def answer(size: int, start_ms: int) -> tuple[dict[str, object], bytes]:
    """What to say of the file on standard input, and the header if there is one."""
    try:
        built = build_at(sys.stdin.fileno(), size, start_ms)
    except StartBeyondEnd as error:
        return {"duration_ms": error.duration_ms}, b""
    except Unsupported as error:
        return {"unsupported": str(error)}, b""
    except MemoryError:
        return {"unsupported": "too large"}, b""
    except OSError as error:
        return {"errno": error.errno}, b""
    told = {
        "spans": [(span.offset, span.count) for span in built.spans],
        "start_sec": built.start_sec,
        "first_ms": built.first_ms,
        "until_ms": built.until_ms,
        "digest": built.digest,
    }
    return told, built.header


def main() -> None:
    """Entry point: parent's process id, limits of memory and time, the file's size, and the asked time."""
    parent_pid, memory_bytes, cpu_sec, size, start_ms = map(int, sys.argv[1:])
    confine(parent_pid, memory_bytes, cpu_sec)
    told, header = answer(size, start_ms)
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n")
    sys.stdout.buffer.write(header)
