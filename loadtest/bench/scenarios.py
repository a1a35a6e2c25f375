"""What throughput alone does not show: memory, seeks, a slow disk, many paced viewers, and new ones."""

from __future__ import annotations

from collections.abc import Sequence

from loadtest.bench.client.jobs import Mixed, Probes, Readers, Target, Viewers
from loadtest.bench.client.process import LoadClient
from loadtest.bench.peers import Peer
from loadtest.bench.plan import KIB, MIB, PACE_BYTES_PER_SEC, Plan
from loadtest.bench.progress import Progress
from loadtest.bench.results import REFERENCE, SUBJECT, Audience, MemoryUse, Seeks, SlowDisk, Starts
from loadtest.bench.slow_disk import slow_disk

COMPARED = (SUBJECT, REFERENCE)
FAST_READERS = 2
SLOW_VIEWERS = 4
_WARM_UP_SEC = 2.0
_SETTLE_SEC = 1.0
_SEEKS_PER_SEC = 100
_SEEK_CONNECTIONS = 8
_OTHERS_PER_SEC = 200
_OTHERS_CONNECTIONS = 16


def measure_memory(plan: Plan, peers: Sequence[Peer], client: LoadClient, progress: Progress) -> list[MemoryUse]:
    """Measure the memory of fresh servers after a few viewers, and with all viewers in the middle of a response."""
    found = []
    for peer in _compared(peers):
        progress.step(f"memory of {plan.memory_connections} paced connections: {peer.title}")
        peer.restart()
        film = peer.target(peer.place.media.film)
        client.run_mixed(_mixed(peer, _WARM_UP_SEC, 0, viewers=_viewers(film, 8), probes=_seeks(film, 8)))
        watching = _viewers(film, plan.memory_connections)
        result = client.run_mixed(_mixed(peer, plan.memory_sec, 1, viewers=watching))
        found.append(MemoryUse(peer=peer.name, connections=plan.memory_connections, result=result))
    return found


def measure_seeks(plan: Plan, peers: Sequence[Peer], client: LoadClient, progress: Progress) -> list[Seeks]:
    """Measure seeks, on new and on kept connections, while others watch; then also with greedy readers among them."""
    found = []
    for fast in (0, FAST_READERS):
        row = [
            Seeks(peer=one.name, viewers=plan.seek_viewers, fast_readers=fast, rounds=[]) for one in _compared(peers)
        ]
        for number in range(plan.seek_rounds):
            for peer, seeks in zip(_compared(peers), row, strict=True):
                among = f", {fast} fast readers" if fast else ""
                progress.step(f"seeks among {plan.seek_viewers} viewers{among}, round {number + 1}: {peer.title}")
                film = peer.target(peer.place.media.film)
                job = _mixed(
                    peer,
                    plan.seek_sec,
                    number,
                    viewers=_viewers(film, plan.seek_viewers),
                    readers=[Readers(target=film, count=fast, range_bytes=8 * MIB)] if fast else [],
                    probes=_seeks(film, plan.seek_viewers),
                )
                seeks.rounds.append(client.run_mixed(job))
        found += row
    return found


def measure_slow_disk(plan: Plan, peers: Sequence[Peer], client: LoadClient, progress: Progress) -> list[SlowDisk]:
    """Measure viewers of a cached file, alone and together with viewers of a file on a slow disk, in turn.

    Raises:
        ProcessError: the slow disk can't be mounted.
    """
    compared = _compared(peers)
    if not compared:
        return []
    row = [SlowDisk(peer=peer.name, without=[], beside=[]) for peer in compared]
    with slow_disk(compared[0].place):
        for peer in compared:
            client.run_mixed(_mixed(peer, _WARM_UP_SEC, 0, readers=_slow_viewers(peer), probes=_others(peer)))
        for number in range(plan.slow_rounds):
            for index, (peer, cell) in enumerate(zip(compared, row, strict=True)):
                progress.step(f"others' first byte beside a slow disk, round {number + 1}: {peer.title}")
                # Never the same seed twice: what one read of the slow file may be in the page cache for the next.
                seed = 1 + number * len(compared) + index
                alone = _mixed(peer, plan.slow_sec, seed, probes=_others(peer))
                cell.without.append(client.run_mixed(alone))
                beside = _mixed(peer, plan.slow_sec, seed, readers=_slow_viewers(peer), probes=_others(peer))
                cell.beside.append(client.run_mixed(beside))
    return row


def measure_audiences(plan: Plan, peers: Sequence[Peer], client: LoadClient, progress: Progress) -> list[Audience]:
    """Measure Marquee alone with more and more paced viewers."""
    found = []
    for peer in peers:
        if peer.name != SUBJECT:
            continue
        for count in plan.viewers:
            progress.step(f"{count} paced viewers: {peer.title}")
            film = peer.target(peer.place.media.film)
            result = client.run_mixed(_mixed(peer, plan.viewers_sec, 0, viewers=_viewers(film, count)))
            found.append(Audience(peer=peer.name, viewers=count, result=result))
    return found


def measure_starts(plan: Plan, peers: Sequence[Peer], client: LoadClient, progress: Progress) -> list[Starts]:
    """Measure new viewers at a steady rate, even if earlier ones have not been served yet.

    Marquee has not seen their tokens before, and begins a play session for each.
    """
    found = []
    counts = [round(rate * plan.starts_sec) for rate in plan.starts_per_sec]
    for peer in _compared(peers):
        film = peer.target(peer.place.media.film)
        strangers = film.authorizations[-sum(counts) :]
        for rate, count in zip(plan.starts_per_sec, counts, strict=True):
            progress.step(f"{rate} viewers a second who are new: {peer.title}")
            probes = Probes(
                target=film.model_copy(update={"authorizations": strangers[:count]}),
                range_bytes=64 * KIB,
                per_sec=rate,
                connections=0,
                fresh="all",
                count=count,
            )
            del strangers[:count]
            result = client.run_mixed(_mixed(peer, plan.starts_sec + _SETTLE_SEC, 0, probes=probes))
            found.append(Starts(peer=peer.name, per_sec=rate, result=result))
    return found


def steps(plan: Plan) -> int:
    """Return the number of steps."""
    compared = sum(name in COMPARED for name in plan.peers)
    each = {
        "memory": compared,
        "seek": 2 * plan.seek_rounds * compared,
        "slow-disk": plan.slow_rounds * compared,
        "viewers": len(plan.viewers) if SUBJECT in plan.peers else 0,
        "starts": len(plan.starts_per_sec) * compared,
    }
    return sum(each[name] for name in plan.scenarios)


def _compared(peers: Sequence[Peer]) -> list[Peer]:
    return [peer for peer in peers if peer.name in COMPARED]


def _mixed(
    peer: Peer,
    seconds: float,
    seed: int,
    *,
    viewers: Viewers | None = None,
    readers: Sequence[Readers] = (),
    probes: Probes | None = None,
) -> Mixed:
    return Mixed(
        seconds=seconds, server_pids=peer.pids(), seed=seed, viewers=viewers, readers=list(readers), probes=probes
    )


def _viewers(target: Target, count: int) -> Viewers:
    return Viewers(target=target, count=count, bytes_per_sec=PACE_BYTES_PER_SEC)


def _seeks(target: Target, viewers: int) -> Probes:
    return Probes(
        # Viewers that seek are some of those that watch.
        target=target.model_copy(update={"authorizations": target.authorizations[:viewers]}),
        range_bytes=MIB,
        per_sec=_SEEKS_PER_SEC,
        connections=_SEEK_CONNECTIONS,
        # At first all viewers' buffers fill at full speed, many at the same time.
        after_sec=_SETTLE_SEC,
        fresh="every second",
    )


def _others(peer: Peer) -> Probes:
    return Probes(
        # Such a small file stays in memory while all of it is requested again and again.
        target=peer.target(peer.place.media.clip),
        range_bytes=256 * KIB,
        per_sec=_OTHERS_PER_SEC,
        connections=_OTHERS_CONNECTIONS,
        after_sec=_SETTLE_SEC,
        fresh="none",
    )


def _slow_viewers(peer: Peer) -> list[Readers]:
    return [Readers(target=peer.target(peer.place.media.slow), count=SLOW_VIEWERS, range_bytes=MIB)]
