from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time

from loadtest.bench.procfs import Usage, cpu_seconds, memory, tree


def test_processor_time_of_a_process_is_seen() -> None:
    usage, before = Usage([os.getpid()]), cpu_seconds([os.getpid()])
    deadline = time.process_time() + 0.2
    while time.process_time() < deadline:
        pass
    assert cpu_seconds([os.getpid()]) - before >= 0.18
    assert usage.stop(1.0).server_sec >= 0.18


def test_memory_that_is_used_is_seen() -> None:
    before = memory([os.getpid()])
    # A map of its own: other memory may come out of what the process has already.
    with mmap.mmap(-1, 32 << 20) as held:
        held.write(os.urandom(1 << 20) * 32)
        after = memory([os.getpid()])
        assert after.measure == before.measure
        assert after.bytes - before.bytes > 0.9 * len(held)


def test_children_belong_to_a_process() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in tree(os.getpid())
        assert tree(child.pid) == [child.pid]
        child.communicate(b"\n")
