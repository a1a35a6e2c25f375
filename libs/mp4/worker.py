"""Build one virtual file of an untrusted source, in a process that does nothing else.

`worker_process.py` starts it in an isolated interpreter. It reads the source as standard input, and answers on standard
output with a line of JSON, followed by the virtual file's header.
"""

from __future__ import annotations

import json
import os
import sys

from mp4.builder import build_at
from mp4.errors import StartBeyondEndError, UnsupportedMediaError
from mp4.structure import MAX_MOOV_BYTES
from sandbox.confine import Policy
from sandbox.confine import confine as confine_process
from sandbox.errors import SandboxError
from sandbox.limits import Limits

MAX_ANSWER_BYTES = 3 * MAX_MOOV_BYTES
"""Room for a header whose offsets became twice as large, and as much again for the list of spans."""


def confine(parent_pid: int, memory_bytes: int, cpu_sec: int) -> None:
    """Leave this process its standard input and output, memory and time, and end it with its parent.

    It has no network namespace of its own, unlike the decoder: viewers wait for it, and it has no sockets anyway.

    Raises:
        SandboxError: it can't be confined.
    """
    limits = Limits(memory_bytes, cpu_sec, file_bytes=MAX_ANSWER_BYTES)
    confine_process(Policy(limits, own_network=False), parent_pid)


def answer(size: int, start_ms: int) -> tuple[dict[str, object], bytes]:
    """Return the result for the file on standard input, and the header if there is one."""
    try:
        built = build_at(sys.stdin.fileno(), size, start_ms)
    except StartBeyondEndError as error:
        return {"duration_ms": error.duration_ms}, b""
    except UnsupportedMediaError as error:
        return {"unsupported": str(error)}, b""
    except MemoryError:
        return {"unsupported": "too large"}, b""
    except OSError as error:
        return {"errno": error.errno}, b""
    result: dict[str, object] = {
        "spans": [(span.offset, span.count) for span in built.spans],
        "start_sec": built.start_sec,
        "first_ms": built.first_ms,
        "until_ms": built.until_ms,
        "digest": built.digest,
    }
    return result, built.header


def main() -> None:
    """Run the worker. Arguments: parent's process id, memory limit, time limit, file size, requested time in ms."""
    parent_pid, memory_bytes, cpu_sec, size, start_ms = map(int, sys.argv[1:])
    try:
        confine(parent_pid, memory_bytes, cpu_sec)
        result, header = answer(size, start_ms)
    except SandboxError as error:
        result, header = {"unsupported": str(error)}, b""
    sys.stdout.buffer.write(json.dumps(result).encode() + b"\n")
    sys.stdout.buffer.write(header)
    sys.stdout.buffer.flush()
    # Nothing is left to clean up.
    os._exit(0)
