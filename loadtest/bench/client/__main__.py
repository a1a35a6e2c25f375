"""The load client: read jobs from standard input, one JSON object per line, and answer each with a line.

python -m loadtest.bench.client
"""

from __future__ import annotations

import gc
import signal
import sys

from kit.testing.guardian import PR_SET_PDEATHSIG, prctl
from loadtest.bench.client import closed_loop, mixed
from loadtest.bench.client.jobs import JOB, ClosedLoop, Failure


def main() -> None:
    """Do jobs until the input ends."""
    # The benchmark may be killed in the middle of a job: then the answer has no reader.
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Ctrl-C reaches every process of the terminal; the benchmark decides the order in which they end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()  # a collection in the middle of a window would show as a slow server
    for line in sys.stdin:
        job = JOB.validate_json(line)
        try:
            result = closed_loop.run(job) if isinstance(job, ClosedLoop) else mixed.run(job)
            answer = result.model_dump_json()
        except (OSError, ValueError) as error:
            answer = Failure(error=repr(error)).model_dump_json()
        gc.collect()
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
