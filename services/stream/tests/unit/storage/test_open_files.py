"""Descriptors are given back wherever their last holder goes."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest

from services.stream.storage.open_files import Closer, Descriptor
from services.stream.tests.support import until


def is_open(number: int) -> bool:
    return Path(f"/proc/self/fd/{number}").exists()


@pytest.fixture
def number() -> int:
    return os.open(os.devnull, os.O_RDONLY)


async def test_collecting_a_descriptor_while_a_thread_gets_work_does_not_deadlock(number: int) -> None:
    with ThreadPoolExecutor(1) as pool:
        closer = Closer(pool)

        def hand_over() -> None:
            descriptor = Descriptor(number, closer)
            # As the collector does when it runs inside of `submit`.
            with pool._shutdown_lock:
                del descriptor

        thread = Thread(target=hand_over, daemon=True)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        await until(lambda: not is_open(number))
        closer.end()


async def test_what_was_noted_before_the_end_is_closed_and_what_is_dropped_later_is_too(number: int) -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    closer = Closer(pool)
    later = os.open(os.devnull, os.O_RDONLY)
    closer(number)
    closer.end()
    closer(later)
    assert not is_open(later)
    await until(lambda: not is_open(number))
