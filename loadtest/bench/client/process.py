"""Start the load client and send jobs to it."""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType
from typing import Self, TypeVar

from pydantic import BaseModel, ValidationError

from loadtest.bench.client.jobs import ClosedLoop, Failure, Mixed, MixedResult, Throughput
from loadtest.bench.processes import on_cores

_END_SEC = 10.0
Result = TypeVar("Result", bound=BaseModel)


class ClientError(RuntimeError):
    """The client could not do a job."""


class LoadClient:
    """A load client in a process of its own, as a context manager.

    Args:
        cores: the cores that it runs on.
    """

    def __init__(self, cores: frozenset[int]) -> None:
        self._cores = cores
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        with on_cores(self._cores):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "loadtest.bench.client"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        if error is not None:
            self._process.kill()  # it may be in the middle of a job
        self._process.communicate(timeout=_END_SEC)

    def run(self, job: ClosedLoop) -> Throughput:
        """Measure throughput. Raise ClientError if the job fails."""
        return self._do(job, Throughput)

    def run_mixed(self, job: Mixed) -> MixedResult:
        """Put several kinds of load on a server. Raise ClientError if the job fails."""
        return self._do(job, MixedResult)

    def _do(self, job: BaseModel, kind: type[Result]) -> Result:
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            raise ClientError("the client is not running")
        self._process.stdin.write(job.model_dump_json() + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        try:
            return kind.model_validate_json(line)
        except ValidationError:
            raise ClientError(Failure.model_validate_json(line).error if line else "the client has ended") from None
