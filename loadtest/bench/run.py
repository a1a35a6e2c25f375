"""Start all processes, measure, and stop them."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from loadtest.bench import machine, matrix, scenarios
from loadtest.bench.check import check
from loadtest.bench.client.process import LoadClient
from loadtest.bench.media import make_media
from loadtest.bench.peers import Peer, Place
from loadtest.bench.peers.asgi import FileResponsePeer, GeneratorPeer
from loadtest.bench.peers.gateway import GatewayPeer
from loadtest.bench.peers.marquee import MarqueePeer
from loadtest.bench.peers.nginx import NginxAccel, NginxStatic
from loadtest.bench.plan import Plan
from loadtest.bench.progress import Progress
from loadtest.bench.promises import judge
from loadtest.bench.resident import kept_resident
from loadtest.bench.results import Results
from loadtest.bench.slow_disk import slow_disk

PEERS: dict[str, type[Peer]] = {
    peer.name: peer for peer in (MarqueePeer, GatewayPeer, NginxStatic, NginxAccel, FileResponsePeer, GeneratorPeer)
}
"""The servers in the order of their turns."""


def run(plan: Plan, parent: Path) -> Results:
    """Carry out the plan.

    Args:
        plan: what to measure.
        parent: a temporary folder for the served files is created in it.

    Raises:
        UnusableFolderError: the files can't be there.
        ServerError: nginx or RabbitMQ is not installed or does not start.
        ProcessError: a server does not start, or has ended.
        WrongBytesError: a server does not send the file's bytes.
        ClientError: a server does not accept connections.
    """
    started_at, started = datetime.now(UTC), time.monotonic()
    cores = machine.cores()
    progress = Progress(len(plan.peers) + matrix.steps(plan) + scenarios.steps(plan))
    with contextlib.ExitStack() as stack:
        stack.callback(progress.end)
        # The benchmark itself must not run on the server's core either.
        stack.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores.others)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="marquee-bench-", dir=parent)))
        (folder / "media").mkdir()
        media = make_media(folder / "media", plan.film_bytes)
        for file in (media.film, media.clip):
            if not stack.enter_context(kept_resident(media.root / file.reference)):
                progress.warn(f"{file.reference} can't be locked in memory: see `ulimit -l`")
        place = Place(folder, media, cores.server, cores.others)
        if "slow-disk" in plan.scenarios:
            # Better to fail here than after everything else is done.
            with slow_disk(place):
                pass
        peers = []
        for name in plan.peers:
            peer = PEERS[name](place)
            progress.step(f"starting and checking: {peer.title}")
            stack.callback(peer.close)
            peer.start()
            check(peer, media.film)
            check(peer, media.clip)
            peers.append(peer)
        client = stack.enter_context(LoadClient(cores.client))
        cells = matrix.measure(plan, peers, client, progress)
        chosen = plan.scenarios
        memory = scenarios.measure_memory(plan, peers, client, progress) if "memory" in chosen else []
        seeks = scenarios.measure_seeks(plan, peers, client, progress) if "seek" in chosen else []
        slow = scenarios.measure_slow_disk(plan, peers, client, progress) if "slow-disk" in chosen else []
        audiences = scenarios.measure_audiences(plan, peers, client, progress) if "viewers" in chosen else []
        starts = scenarios.measure_starts(plan, peers, client, progress) if "starts" in chosen else []
        film = media.root / media.film.reference
        described = machine.describe(film, cores)
    return Results(
        started_at=started_at,
        seconds=time.monotonic() - started,
        machine=described,
        plan=plan,
        cells=cells,
        memory=memory,
        seeks=seeks,
        slow_disk=slow,
        audiences=audiences,
        starts=starts,
        promises=judge(plan, cells, memory, seeks, slow, audiences, has_nowait=described.has_nowait),
    )
