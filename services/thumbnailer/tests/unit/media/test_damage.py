"""Damaged files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.thumbnailer import domain
from services.thumbnailer.media.errors import MediaError
from services.thumbnailer.tests.unit.films import Thumbnail

if TYPE_CHECKING:
    from services.thumbnailer.domain import MediaInfo
from kit.testing.depth import cases
from services.thumbnailer.tests.unit.media.support import assert_no_children, boxes, names, process, saved


@settings(
    max_examples=cases(quick=15, deep=500),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(damage=st.data())
def test_damaged_files_never_hurt_the_parent(
    damage: st.DataObject, moov_last: Path, webm: Path, tmp_path: Path, artwork: Path
) -> None:
    whole = damage.draw(st.sampled_from([moov_last, webm])).read_bytes()
    # Where the structure is: the index at the end of an MP4, the head of a WebM.
    start, end = boxes(whole)["moov"] if whole[4:8] == b"ftyp" else (0, 1000)
    data = bytearray(whole)
    for at in damage.draw(st.lists(st.integers(start, end - 1), min_size=1, max_size=12)):
        data[at] ^= damage.draw(st.integers(1, 255))
    (artwork / "thumbnail.jpg").unlink(missing_ok=True)
    outcome = asyncio.run(outcome_of(saved(tmp_path / "film", bytes(data)), artwork / "thumbnail.jpg"))
    if isinstance(outcome, MediaError):
        assert names(artwork) == []
        assert domain.is_failure_code(outcome.failure.code)
    else:
        assert names(artwork) == ["thumbnail.jpg"]
        assert Thumbnail.read(artwork / "thumbnail.jpg").width == 320
        assert outcome.duration_sec >= 0
    assert_no_children()


async def outcome_of(source: Path, thumbnail: Path) -> MediaInfo | MediaError:
    try:
        return await process(source, thumbnail)
    except MediaError as error:
        return error
