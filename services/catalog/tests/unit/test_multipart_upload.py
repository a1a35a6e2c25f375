from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect

from kit.errors import ApiError
from kit.media import MediaStore
from kit.media_store import FolderStore, WritableStore
from kit.media_store.folder import FolderWriter
from services.catalog.domain import source_reference
from services.catalog.http.multipart_upload import receive
from services.catalog.service.uploads import Upload

BOUNDARY = b"----marquee-boundary"
HEADERS = {"content-type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
PIECES = [b"--", BOUNDARY, b"--" + BOUNDARY, b"\r\n", b"\n", b":", b"a", b"\0", b" "]
FILM = bytes(range(256)) * 5000


def part(name: str, content: bytes, file_name: str | None = None) -> bytes:
    more = f'; filename="{file_name}"' if file_name is not None else ""
    head = f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode()
    return b"--" + BOUNDARY + b"\r\n" + head + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


async def chunks(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[WritableStore]:
    layout = MediaStore(tmp_path)
    layout.prepare()
    yield FolderStore(layout)
    assert list((tmp_path / "incoming").iterdir()) == [], "an upload left something behind"


async def take(
    store: WritableStore, body: bytes, *, size: int = 65536, max_bytes: int = 1 << 30
) -> tuple[Upload, bytes]:
    async with receive(HEADERS, chunks(body, size), store, max_bytes) as upload:
        await upload.writer.complete()
    return upload, await store.read(source_reference(upload.video_id), max_bytes)


@pytest.mark.parametrize("size", [1000, 65536, 10_000_000])
async def test_the_bytes_are_those_that_were_sent(store: WritableStore, size: int) -> None:
    body = form(part("title", "밤 기차".encode()), part("tags", b"a,b"), part("file", FILM, "x.mp4"))
    upload, stored = await take(store, body, size=size)
    assert stored == FILM
    assert upload.size_bytes == len(FILM)
    assert (upload.title, upload.tags, upload.description) == ("밤 기차", ["a", "b"], "")


@pytest.mark.parametrize("size", [1, 7, 65536])
@pytest.mark.parametrize(
    "preamble",
    [
        b"\r\n",
        b"This is a multipart message.\r\n",
        b"a line with --" + BOUNDARY + b" in it\r\n",
        b"--" + BOUNDARY[:-1] + b"\r\n--\r\n",
        b"x" * 5000 + b"\r\n",
    ],
)
async def test_preamble_is_ignored(store: WritableStore, preamble: bytes, size: int) -> None:
    body = form(part("title", b"A"), part("file", FILM[:2000], "x.mp4"))
    upload, stored = await take(store, preamble + body + b"epilogue", size=size)
    assert (upload.title, stored) == ("A", FILM[:2000])


@pytest.mark.parametrize(("length", "is_taken"), [(1, True), (70, True), (71, False), (7000, False), (100_000, False)])
async def test_boundary_has_at_most_70_characters(store: WritableStore, length: int, *, is_taken: bool) -> None:
    boundary = b"b" * length
    headers = {"content-type": f"multipart/form-data; boundary={boundary.decode()}"}
    body = form(part("file", b"abc", "x.mp4")).replace(BOUNDARY, boundary)
    try:
        async with receive(headers, chunks(body, 1000), store, 1 << 30) as upload:
            assert upload.size_bytes == 3
    except ApiError as error:
        assert (error.code.http_status, is_taken) == (422, False)  # noqa: PT017 - some lengths are taken
    else:
        assert is_taken


@given(
    body=st.one_of(
        st.binary(max_size=300),
        st.lists(st.sampled_from(PIECES)).map(b"".join),
    ),
    content_type=st.one_of(
        st.just(HEADERS["content-type"]),
        st.text(st.characters(max_codepoint=255), max_size=50).map("multipart/form-data; boundary={}".format),
    ),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_whatever_is_malformed_is_refused(store: WritableStore, body: bytes, content_type: str) -> None:
    with pytest.raises(ApiError) as refused:
        async with receive({"content-type": content_type}, chunks(body, 50), store, 1 << 30):
            pass
    assert refused.value.code.http_status == 422


async def test_endless_preamble_is_refused(store: WritableStore) -> None:
    with pytest.raises(ApiError, match="boundary"):
        await take(store, b"x" * (2 << 20))


async def test_fields_may_follow_the_file(store: WritableStore) -> None:
    upload, stored = await take(store, form(part("file", b"abc", "x.mp4"), part("description", b" after ")))
    assert stored == b"abc"
    assert (upload.title, upload.description) == ("x", "after")


async def test_an_empty_file_is_an_upload(store: WritableStore) -> None:
    upload, stored = await take(store, form(part("file", b"", "empty.mp4")))
    assert stored == b""
    assert upload.size_bytes == 0


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=300), size=st.integers(1, 50))
async def test_any_bytes_in_any_pieces(tmp_path_factory: pytest.TempPathFactory, content: bytes, size: int) -> None:
    store = FolderStore(MediaStore(tmp_path_factory.mktemp("media")))
    await store.prepare()
    if b"\r\n--" + BOUNDARY in content:
        return
    _, stored = await take(store, form(part("file", content, "x.mp4")), size=size)
    assert stored == content


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (form(part("title", b"no file")), "UPLOAD_INVALID_MEDIA"),
        (form(part("file", b"a", "x"), part("file", b"b", "y")), "UPLOAD_INVALID_MEDIA"),
        (form(part("file", FILM, "x.mp4"))[:-10], "UPLOAD_INVALID_MEDIA"),
        (b"this is no multipart body at all", "UPLOAD_INVALID_MEDIA"),
        (form(*[part("title", b"x")] * 30), "UPLOAD_INVALID_MEDIA"),
        (form(part("titel", b"misspelt"), part("file", b"a", "x")), "VALIDATION_FAILED"),
        (form(part("title", b"x" * 100_000), part("file", b"a", "x")), "VALIDATION_FAILED"),
        (form(part("description", b"x" * 6000), part("file", b"a", "x")), "VALIDATION_FAILED"),
        (form(part("corporation_id", b"../acme"), part("file", b"a", "x")), "VALIDATION_FAILED"),
        (form(part("protection", b"drm"), part("file", b"a", "x")), "VALIDATION_FAILED"),
        (form(part("tags", b"x" * 100), part("file", b"a", "x")), "VALIDATION_FAILED"),
    ],
)
async def test_bad_bodies_are_refused_and_leave_nothing(store: WritableStore, body: bytes, code: str) -> None:
    with pytest.raises(ApiError) as refused:
        await take(store, body)
    assert refused.value.code == code


async def test_another_content_type_is_refused(store: WritableStore) -> None:
    with pytest.raises(ApiError) as refused:
        async with receive({"content-type": "video/mp4"}, chunks(FILM, 1000), store, 1 << 30):
            pass
    assert refused.value.code == "UPLOAD_INVALID_MEDIA"


async def test_a_file_over_the_limit_is_refused_before_it_is_all_there(store: WritableStore) -> None:
    seen = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal seen
        yield part("file", b"", "x.mp4")[:-2]
        while True:
            seen += 65536
            yield b"\x00" * 65536

    with pytest.raises(ApiError) as refused:
        async with receive(HEADERS, endless(), store, 1 << 20):
            pass
    assert refused.value.code == "UPLOAD_TOO_LARGE"
    assert refused.value.details == {"limit_bytes": 1 << 20}
    assert seen <= (1 << 20) + 65536


async def test_a_client_that_leaves_is_no_upload(store: WritableStore) -> None:
    async def leaves() -> AsyncIterator[bytes]:
        yield part("file", FILM, "x.mp4")
        raise ClientDisconnect

    with pytest.raises(ApiError) as refused:
        async with receive(HEADERS, leaves(), store, 1 << 30):
            pass
    assert refused.value.code == "UPLOAD_INVALID_MEDIA"


async def test_a_full_disk_is_said_so(store: WritableStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_writer: FolderWriter, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(FolderWriter, "write", full)
    with pytest.raises(ApiError) as refused:
        await take(store, form(part("file", b"abc", "x.mp4")))
    assert refused.value.code == "STORAGE_FULL"


async def test_a_store_that_is_away_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ApiError) as refused:
        await take(FolderStore(MediaStore(tmp_path / "not-mounted")), form(part("file", b"abc", "x.mp4")))
    assert refused.value.code == "STREAM_FILE_UNAVAILABLE"
