from __future__ import annotations

import os

import pytest

from loadtest.bench.client.jobs import ClosedLoop, Mixed, Probes
from loadtest.bench.client.process import ClientError, LoadClient
from loadtest.bench.tests.serving import serving

CORES = frozenset(os.sched_getaffinity(0))


def test_a_client_does_one_job_after_the_other() -> None:
    with serving() as target, LoadClient(CORES) as client:
        closed = ClosedLoop(
            target=target,
            range_bytes=1000,
            connections=1,
            warm_up_sec=0,
            seconds=0.1,
            server_pids=[os.getpid()],
            seed=1,
        )
        assert client.run(closed).responses > 0
        probes = Probes(target=target, range_bytes=10, per_sec=50, connections=1, fresh="none")
        assert client.run_mixed(Mixed(seconds=0.2, server_pids=[os.getpid()], seed=1, probes=probes)).bytes > 0


def test_a_job_that_can_not_be_done_says_why() -> None:
    with serving() as target:
        pass
    with LoadClient(CORES) as client:
        job = ClosedLoop(
            target=target, range_bytes=1000, connections=1, warm_up_sec=0, seconds=1, server_pids=[], seed=1
        )
        with pytest.raises(ClientError, match="refused"):
            client.run(job)
