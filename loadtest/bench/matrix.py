"""Throughput and time to first byte: sizes by connections by servers, in turn."""

from __future__ import annotations

from collections.abc import Sequence

from loadtest.bench.client.jobs import ClosedLoop
from loadtest.bench.client.process import LoadClient
from loadtest.bench.peers import Peer
from loadtest.bench.plan import SIZES, Plan
from loadtest.bench.progress import Progress
from loadtest.bench.results import Cell


def measure(plan: Plan, peers: Sequence[Peer], client: LoadClient, progress: Progress) -> list[Cell]:
    """Measure every combination of the plan.

    All servers get one load after the other (A B C D), then again (A B C D): a disturbance of the machine affects
    neighbours alike. In one round all servers get requests for the same ranges in the same order.

    Raises:
        ClientError: a server does not accept connections.
        ProcessError: a server has ended.
    """
    cells = []
    for size, connections in plan.combinations():
        row = [Cell(peer=peer.name, size=size, connections=connections, rounds=[]) for peer in peers]
        for number in range(plan.rounds):
            for peer, cell in zip(peers, row, strict=True):
                progress.step(f"{size}, {connections} connections, round {number + 1}: {peer.title}")
                media = peer.place.media
                job = ClosedLoop(
                    target=peer.target(media.clip if size == "open" else media.film),
                    range_bytes=SIZES[size],
                    connections=connections,
                    warm_up_sec=plan.warm_up_sec + connections * plan.warm_up_sec_per_connection,
                    seconds=plan.seconds,
                    server_pids=peer.pids(),
                    seed=number,
                )
                cell.rounds.append(client.run(job))
        cells += row
    return cells


def steps(plan: Plan) -> int:
    """Return the number of measurements."""
    return len(list(plan.combinations())) * plan.rounds * len(plan.peers)
