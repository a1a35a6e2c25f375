"""What holds for all tests of the decoder and its process."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from services.thumbnailer.media import inspection

if TYPE_CHECKING:
    from collections.abc import Callable

from services.thumbnailer.tests.unit.media.support import OTHERS, ROOT, children, saved


@pytest.fixture(autouse=True)
def _remember_other_children() -> None:
    OTHERS.clear()
    OTHERS.update(children())


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that replaces the child's program; `child` and its `job` are available in it."""

    def put(body: str) -> None:
        head = f"""
import json, os, signal, socket, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "libs")!r}]
from services.thumbnailer.media import child
job = json.loads(sys.argv[1])
"""
        child = saved(tmp_path / "child.py", (head + textwrap.dedent(body)).encode())
        monkeypatch.setattr(inspection, "_CHILD", child)

    return put
