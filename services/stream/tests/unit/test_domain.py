"""How a request for bytes is answered, and which callers may see a video."""

from __future__ import annotations

import pytest

from services.stream.delivery.multipart import frame
from services.stream.delivery.preconditions import Conditions, PreconditionResult, Validators, evaluate_preconditions
from services.stream.delivery.ranges import ByteRange
from services.stream.domain import Decision, ResponseStatus, decide
from services.stream.tests.support import a_source

SIZE = 1000
VALIDATORS = Validators.of(state="3e8-1", mtime_ns=10**18, version=1, now=2e9)
WHOLE = Decision(ResponseStatus.WHOLE, (ByteRange(0, SIZE - 1),))
STALE = Conditions(if_range='"stale"')


@pytest.mark.parametrize(
    ("method", "range_header", "conditions", "expected"),
    [
        ("GET", None, Conditions(), WHOLE),
        ("GET", "bytes=0-1", Conditions(), Decision(ResponseStatus.PARTIAL, (ByteRange(0, 1),))),
        ("HEAD", "bytes=0-1", Conditions(), WHOLE),
        ("HEAD", "bytes=5000-", Conditions(), WHOLE),
        ("GET", "furlongs=0-1", Conditions(), WHOLE),
        ("GET", "bytes=5000-", Conditions(), Decision(ResponseStatus.NOT_SATISFIABLE)),
        ("GET", "bytes=5000-", STALE, WHOLE),
        ("GET", "bytes=5000-", Conditions(if_range=VALIDATORS.etag), Decision(ResponseStatus.NOT_SATISFIABLE)),
        ("GET", "bytes=5000-", Conditions(if_none_match="*"), Decision(ResponseStatus.NOT_MODIFIED)),
        ("GET", "bytes=5000-", Conditions(if_match='"x"'), Decision(ResponseStatus.PRECONDITION_FAILED)),
        ("GET", "bytes=0-1", STALE, WHOLE),
        ("HEAD", None, Conditions(if_none_match=VALIDATORS.etag), Decision(ResponseStatus.NOT_MODIFIED)),
    ],
)
def test_conditions_come_before_ranges(
    method: str, range_header: str | None, conditions: Conditions, expected: Decision
) -> None:
    assert decide(method, range_header, evaluate_preconditions(conditions, VALIDATORS), SIZE) == expected


def test_an_empty_file_is_whole_or_out_of_range() -> None:
    assert decide("GET", None, PreconditionResult.PROCEED, 0) == Decision(ResponseStatus.WHOLE)
    assert decide("GET", "bytes=-5", PreconditionResult.PROCEED, 0) == Decision(ResponseStatus.WHOLE)
    assert decide("GET", "bytes=0-", PreconditionResult.PROCEED, 0) == Decision(ResponseStatus.NOT_SATISFIABLE)


@pytest.mark.parametrize(
    ("owner", "viewer", "is_admin", "visible"),
    [
        ("", "", False, True),
        ("", "acme", False, True),
        ("acme", "acme", False, True),
        ("acme", "", False, False),
        ("acme", "other", False, False),
        ("acme", "", True, True),
    ],
)
def test_a_corporations_video_is_for_its_own_people(owner: str, viewer: str, *, is_admin: bool, visible: bool) -> None:
    assert a_source(corporation_id=owner).is_visible_to(viewer, is_admin=is_admin) is visible


@pytest.mark.parametrize(
    ("stored", "served"),
    [
        ("video/mp4", "video/mp4"),
        ("audio/x-m4a", "audio/x-m4a"),
        ("text/html", "application/octet-stream"),
        ("video/mp4\r\nX: y", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_content_type_is_always_a_media_type(stored: str, served: str) -> None:
    assert a_source(mime_type=stored).content_type == served


def test_a_multipart_body_is_as_long_as_it_says() -> None:
    framed = frame([ByteRange(0, 1), ByteRange(5, 9)], 10, "video/mp4", "edge")
    data = b"0123456789"
    body = b"".join(head + data[span.first : span.last + 1] for head, span in framed.parts) + framed.tail
    assert len(body) == framed.length
    assert body == (
        b"--edge\r\nContent-Type: video/mp4\r\nContent-Range: bytes 0-1/10\r\n\r\n01"
        b"\r\n--edge\r\nContent-Type: video/mp4\r\nContent-Range: bytes 5-9/10\r\n\r\n56789"
        b"\r\n--edge--\r\n"
    )
