"""Where the bytes of a URL lie, in a file and in a virtual one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mp4 import Span, VirtualFile
from services.stream.delivery.ranges import ByteRange
from services.stream.delivery.representation import Representation
from services.stream.storage.open_files import OpenFile, OpenFileCache
from services.stream.tests.support import a_source

DATA = os.urandom(1000)
HEADER = os.urandom(50)


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[OpenFile]:
    (tmp_path / "film").write_bytes(DATA)
    files = OpenFileCache(tmp_path, 1)
    yield await files.open(tmp_path / "film")
    files.close()


def sent(representation: Representation, wanted: ByteRange, head: bytes = b"") -> bytes:
    return b"".join(
        part.head + DATA[part.offset : part.offset + part.count] for part in representation.segments(wanted, head)
    )


def spans_of(cuts: list[int]) -> tuple[Span, ...]:
    """Every second stretch between the cuts."""
    return tuple(Span(begin, end - begin) for begin, end in list(pairwise(cuts))[::2] if end > begin)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.binary(max_size=60),
    cuts=st.lists(st.integers(0, 1000), max_size=9).map(sorted),
    data=st.data(),
    head=st.binary(max_size=3),
)
async def test_any_range_of_a_virtual_file(
    file: OpenFile, header: bytes, cuts: list[int], data: st.DataObject, head: bytes
) -> None:
    virtual = VirtualFile.made(header, spans_of(cuts), start_sec=0, first_ms=0, until_ms=1)
    whole = header + b"".join(DATA[span.offset : span.offset + span.count] for span in virtual.spans)
    representation = Representation(a_source(), file, virtual)
    assert representation.size == len(whole)
    if not whole:
        return
    first = data.draw(st.integers(0, len(whole) - 1))
    last = data.draw(st.integers(first, len(whole) - 1))
    assert sent(representation, ByteRange(first, last), head) == head + whole[first : last + 1]


async def test_a_file_is_sent_as_it_is(file: OpenFile) -> None:
    representation = Representation(a_source(), file)
    assert representation.size == 1000
    assert sent(representation, ByteRange(3, 999), b"head") == b"head" + DATA[3:]


async def test_a_virtual_file_has_a_tag_of_its_own(file: OpenFile) -> None:
    source = a_source()
    virtuals = [
        VirtualFile.made(header, (span,), start_sec=0, first_ms=0, until_ms=1)
        for header, span in ((HEADER, Span(0, 10)), (HEADER, Span(1, 10)), (HEADER[::-1], Span(0, 10)))
    ]
    representation = [Representation(source, file), *(Representation(source, file, virtual) for virtual in virtuals)]
    tags = {dict(each.headers)[b"etag"] for each in representation}
    assert len(tags) == 4
    assert dict(representation[1].headers)[b"etag"] == dict(Representation(source, file, virtuals[0]).headers)[b"etag"]
    assert all(tag.startswith(b'"') for tag in tags)


async def test_a_date_becomes_strong_when_it_has_settled(file: OpenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    assert file.mtime_ns is not None
    modified = file.mtime_ns / 1e9
    for age, is_strong in ((0.0, False), (1.5, True), (100.0, True)):
        monkeypatch.setattr("services.stream.delivery.representation.time.time", lambda age=age: modified + age)
        representation = Representation(a_source(), file)
        assert representation.validators().modified_is_strong is is_strong
        monkeypatch.setattr("services.stream.delivery.representation.time.time", lambda: modified + 1000)
        assert representation.validators().modified_is_strong
