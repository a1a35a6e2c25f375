"""The whole benchmark, as short as possible: it works, and all its processes have ended afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from kit.testing.guardian import descendants
from kit.testing.servers import wait_until
from loadtest.bench.check import WrongBytesError, check
from loadtest.bench.machine import REPOSITORY, cores
from loadtest.bench.media import make_media
from loadtest.bench.peers import Place
from loadtest.bench.peers.asgi import FileResponsePeer, GeneratorPeer
from loadtest.bench.peers.nginx import NginxAccel, NginxStatic
from loadtest.bench.plan import Plan
from loadtest.bench.report import page, terminal, write_docs
from loadtest.bench.results import Results
from loadtest.bench.run import run

SHORT = Plan(
    peers=["marquee", "nginx"],
    sizes=["64k"],
    connections=[8],
    rounds=2,
    seconds=0.2,
    warm_up_sec=0.05,
    film_bytes=16 << 20,
    scenarios=["memory", "seek", "viewers", "starts"],
    memory_connections=20,
    memory_sec=0.5,
    seek_viewers=5,
    seek_rounds=1,
    seek_sec=1.5,
    viewers=[10],
    viewers_sec=1.5,
    starts_per_sec=[20],
    is_full=False,
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder, before = tmp_path_factory.mktemp("bench"), set(descendants(os.getpid()))
    # It compares real bytes of both servers with the file before it measures.
    found = run(SHORT, folder)
    assert list(folder.iterdir()) == []
    # The servers of other tests begin and end processes of their own all the time.
    theirs = {pid for server in before for pid in descendants(server)}
    assert set(descendants(os.getpid())) <= before | theirs
    return found


def test_both_servers_are_measured_without_errors(results: Results) -> None:
    assert [(cell.peer, len(cell.rounds)) for cell in results.cells] == [("marquee", 2), ("nginx", 2)]
    for window in results.windows():
        assert (window.errors, window.first_error) == (0, "")
        assert window.bytes > 0
    for cell in results.cells:
        assert all(one.responses > 0 for one in cell.rounds)
        assert sum(one.cpu.server_sec for one in cell.rounds) > 0
    assert all(audience.is_served for audience in results.audiences)
    assert [(one.peer, one.result.first_byte.samples) for one in results.starts] == [("marquee", 20), ("nginx", 20)]
    assert all(one.result.memory_during.bytes > 0 for one in results.memory)
    assert all(one.first_byte.samples > 0 for seeks in results.seeks for one in seeks.rounds)


def test_results_survive_being_written_down(results: Results) -> None:
    written = results.model_dump_json()
    assert Results.model_validate_json(written) == results
    assert set(results.model_dump()) == {
        "schema_version",
        "started_at",
        "seconds",
        "machine",
        "plan",
        "cells",
        "memory",
        "seeks",
        "slow_disk",
        "audiences",
        "starts",
        "promises",
    }


def test_unmeasured_promises_are_not_judged(results: Results) -> None:
    judged = {promise.name: promise.verdict for promise in results.promises}
    assert judged["1 MiB ranges, authorised, against nginx static"] == "not judged"
    assert judged["64 KiB ranges, authorised, against nginx static"] != "not judged" or not results.machine.has_nowait
    assert not results.all_kept


def test_the_report_names_servers_machine_and_promises(results: Results) -> None:
    for text in (terminal(results), page(results)):
        for expected in ("Marquee, authorised", "nginx, static sendfile", results.machine.kernel, "64 KiB ranges"):
            assert expected in text
        assert all(promise.name in text for promise in results.promises)


def test_the_page_names_no_place_on_this_machine(results: Results) -> None:
    assert str(REPOSITORY) not in page(results)
    assert str(Path.home()) + "/" not in page(results)


def test_the_page_and_its_picture_are_written(results: Results, tmp_path: Path) -> None:
    write_docs(results, tmp_path)
    picture = ET.fromstring((tmp_path / "images" / "benchmarks.svg").read_text())  # noqa: S314 - our own
    bars = picture.findall("{http://www.w3.org/2000/svg}rect")
    assert [bar.get("class") for bar in bars] == ["subject", "other"]
    assert all(float(bar.attrib["width"]) > 0 for bar in bars)
    assert "(images/benchmarks.svg)" in (tmp_path / "benchmarks.md").read_text()


@pytest.mark.parametrize("kind", [NginxAccel, FileResponsePeer, GeneratorPeer])
def test_the_other_servers_send_the_right_bytes(
    kind: type[NginxAccel | FileResponsePeer | GeneratorPeer], tmp_path: Path
) -> None:
    shared_out = cores()
    (tmp_path / "media").mkdir()
    media = make_media(tmp_path / "media", 4 << 20)
    peer = kind(Place(tmp_path, media, shared_out.server, shared_out.others))
    try:
        peer.start()
        assert check(peer, media.film) > 4 << 20
        assert len(peer.pids()) >= 1
    finally:
        peer.close()


def test_wrong_bytes_stop_the_benchmark(tmp_path: Path) -> None:
    shared_out = cores()
    (tmp_path / "media").mkdir()
    media = make_media(tmp_path / "media", 4 << 20)
    peer = NginxStatic(Place(tmp_path, media, shared_out.server, shared_out.others))
    try:
        peer.start()
        check(peer, media.film)
        film = media.root / media.film.reference
        served = film.with_suffix(".served")
        film.rename(served)
        film.write_bytes(bytes(media.film.size))  # nginx has the other one open
        with pytest.raises(WrongBytesError, match="not the file's bytes"):
            check(peer, media.film)
    finally:
        peer.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "loadtest.bench", "--peers", "nginx", "--sizes", "64k", "--scenarios", "none"]
    with subprocess.Popen(  # noqa: S603 - fixed arguments
        [*command, "--quick", "--connections", "1", "--seconds", "60", "--folder", str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        # A shell without job control has its background commands ignore SIGINT, and so would all that they start.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - it starts no thread
    ) as bench:
        assert bench.stderr
        while "64k, 1 connections" not in bench.stderr.readline():
            assert bench.poll() is None
        started = descendants(bench.pid)
        assert len(started) >= 4  # a guardian, nginx and its worker, the client
        bench.send_signal(number)
        assert "everything it started has ended" in bench.stderr.read()
    assert bench.returncode == 130
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started), "all have ended", 60)
    assert list(tmp_path.iterdir()) == []
