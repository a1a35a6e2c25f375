"""Do jobs for one hostile file in a process that may do nothing else: the entry point.

`inspection.py` runs this file by its path in an isolated interpreter. It imports nothing of Marquee that does I/O, gets
the video as an open file and never its name, answers with JSON and files on standard output, and knows only codes of
failures: their texts are for the parent. The parent trusts nothing that it answers.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

from av.error import FFmpegError

# An isolated interpreter finds nothing beside this file by itself, and ignores PYTHONPATH, which an image sets.
sys.path.append(str(Path(__file__).resolve().parents[3]))
sys.path.append(str(Path(__file__).resolve().parents[3] / "libs"))

from sandbox.confine import Policy
from sandbox.confine import confine as confine_process
from sandbox.errors import SandboxError
from sandbox.limits import Limits
from services.thumbnailer.media.errors import UnusableFileError
from services.thumbnailer.media.probe import Job
from services.thumbnailer.media.tasks import run_jobs

SOURCE, ANSWER = 0, 1
"""Descriptors: the file is standard input, the answer is standard output, itself a file."""


def confine(job: Job) -> bool:
    """Leave this process its standard input and output, memory and time; return whether it is cut off from the network.

    Raises:
        SandboxError: it can't be confined.
    """
    # FFmpeg duplicates the descriptor that it reads.
    limits = Limits(job["memory_bytes"], job["cpu_sec"], file_bytes=job["answer_bytes"], open_files=4)
    return confine_process(Policy(limits, niceness=job["niceness"]), job["parent_pid"]).is_isolated


def is_failure_to_read(error: OSError, fd: int) -> bool:
    """Return whether the store caused an error, so that another try may help; otherwise the file did.

    FFmpeg says EIO of damaged files too: then the places where indexes are, the first and last 64 MiB, are
    read once more. What this process is not permitted to do, the file made FFmpeg try.
    """
    if not isinstance(error, FFmpegError):
        return True
    if error.errno != errno.EIO:
        return not isinstance(error, PermissionError)
    size, reach = os.fstat(fd).st_size, 64 * 2**20
    try:
        for start in (0, max(0, size - reach)):
            for at in range(start, start + reach, 2**20):
                os.pread(fd, 2**20, at)
    except OSError:
        return True
    return False


def failure_code(error: Exception) -> str:
    """Return the code of what went wrong with the file."""
    match error:
        case UnusableFileError():
            return error.code
        case SandboxError():
            # A failure of the server, not of the file. The service logs at its start what the kernel lacks.
            return "SERVER_BUSY"
        case MemoryError():
            return "MEMORY_LIMIT"
        case OSError():
            return "FILE_UNREADABLE" if is_failure_to_read(error, SOURCE) else "DAMAGED"
        case FFmpegError():
            return "DAMAGED"
        case _:
            return "DECODER_CRASHED"


def write_answer(answer: dict[str, object], files: list[bytes]) -> None:
    """Write the answer as a line of JSON, and the files behind it, one after the other."""
    for part in (json.dumps(answer).encode() + b"\n", *files):
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(ANSWER, rest) :]


def main() -> None:
    """Do the jobs in the first argument for the file on standard input, and exit."""
    job: Job = json.loads(sys.argv[1])
    files: list[bytes] = []
    try:
        isolated = confine(job)
        answer, files = run_jobs(SOURCE, job, failure_code)
        answer["isolated"] = isolated
    except Exception as error:  # noqa: BLE001 - a foreign file decides what is raised here
        answer = {"failure": failure_code(error)}
    write_answer(answer, files)
    # Skip FFmpeg's cleanup, which would use a heap that a hostile file may have damaged.
    os._exit(0)


if __name__ == "__main__":
    main()
