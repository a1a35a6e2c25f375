"""How often a reader who follows a Range header through the code has to open a file."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import services.stream
from services.stream.tests.support import ServiceHarness, connected, fetch, stream_path

pytestmark = pytest.mark.usefixtures("never_stale")

DATA = os.urandom(600_000)
ROOT = Path(services.stream.__file__).parent
SINGLE = "bytes=5-70000"


def accessors() -> set[CodeType]:
    """The code of stream's properties: what they say, their names say."""
    modules = [module for name, module in sys.modules.items() if name.startswith("services.stream.")]
    classes = [each for module in modules for each in vars(module).values() if isinstance(each, type)]
    members = [member for each in classes for member in vars(each).values()]
    return {each.fget.__code__ for each in members if isinstance(each, property) and each.fget is not None}


@contextmanager
def recorded_walk() -> Iterator[list[Path]]:
    """Record which files of stream are entered up to the first `sendfile`, calls within a file aside."""
    walk: list[Path] = []
    skipped = accessors()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call" and argument.__name__ == "sendfile":
            sys.setprofile(None)
        path = Path(frame.f_code.co_filename)
        is_own = ROOT in path.parents and "tests" not in path.parts and frame.f_code not in skipped
        if event == "call" and is_own and path not in walk[-1:]:
            walk.append(path)

    sys.setprofile(note)
    try:
        yield walk
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("is_replayed", [False, True])
async def test_range_header_visits_each_file_at_most_twice(harness: ServiceHarness, *, is_replayed: bool) -> None:
    path = stream_path(harness.store("film.mp4", DATA))
    await fetch(harness, path, range="bytes=0-9")
    async with connected(harness.port) as line:
        if is_replayed:
            assert (await line.ask("GET", path, range="bytes=0-9")).status == 206
        line.send("GET", path, range=SINGLE)
        with recorded_walk() as walk:
            answer = await line.answer()
    assert (answer.status, answer.body) == (206, DATA[5:70001])
    files = {each.relative_to(ROOT).as_posix() for each in walk}
    assert "delivery/ranges.py" in files
    assert ("fastpath/app.py" in files) is not is_replayed
    assert {each.name: visits for each, visits in Counter(walk).items() if visits > 2} == {}
