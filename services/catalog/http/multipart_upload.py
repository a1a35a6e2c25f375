"""Receive an upload: write the multipart body to the store as it arrives, in constant memory (RFC 7578)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from kit.errors import ApiError, ErrorCode, invalid_field
from kit.ids import new_id
from kit.media_store import MediaWriter, WritableStore
from services.catalog.domain import source_reference
from services.catalog.http.upload_labels import parse_labels
from services.catalog.service.uploads import Upload, storage_error

WRITE_BLOCK = 1 << 20
MAX_FIELD_BYTES = 64 << 10
MAX_PARTS = 20
MAX_HEADER_BYTES = 16 << 10
MAX_BOUNDARY_CHARS = 70
"""RFC 2046, section 5.1.1."""
MAX_PREAMBLE_BYTES = 1 << 20
MAX_ENVELOPE_BYTES = MAX_PREAMBLE_BYTES + MAX_PARTS * (MAX_FIELD_BYTES + MAX_HEADER_BYTES)
"""What a body has beside the file's bytes."""
_FIELDS = frozenset({"title", "description", "tags", "corporation_id", "protection"})


@asynccontextmanager
async def receive(
    headers: Mapping[str, str], body: AsyncIterator[bytes], store: WritableStore, max_bytes: int
) -> AsyncIterator[Upload]:
    """Receive an upload to its end; its bytes are removed after the block unless its writer was completed.

    Args:
        headers: of the request.
        body: of the request, as it arrives.
        store: the media store; the bytes go where the video's source will be.
        max_bytes: the size limit of the file.

    Raises:
        ApiError: UPLOAD_INVALID_MEDIA for a body that is not an upload, VALIDATION_FAILED for a bad field,
            UPLOAD_TOO_LARGE, STORAGE_FULL, STREAM_FILE_UNAVAILABLE when the media store is away.
    """
    content_type, options = parse_options_header(headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if content_type != b"multipart/form-data" or not boundary:
        raise ApiError(ErrorCode.UPLOAD_INVALID_MEDIA, "Send the video as multipart/form-data with a part named file.")
    if len(boundary) > MAX_BOUNDARY_CHARS:
        raise ApiError(
            ErrorCode.UPLOAD_INVALID_MEDIA,
            f"The boundary of a multipart body has at most {MAX_BOUNDARY_CHARS} characters.",
        )
    video_id = new_id()
    form = _Form(boundary, max_bytes)
    async with AsyncExitStack() as stack:
        try:
            file = store.writer(source_reference(video_id), _most_bytes(headers, max_bytes))
            writer = await stack.enter_async_context(file)
            await _collect(form, body, writer)
        except OSError as error:
            raise storage_error(error) from error
        except (FormParserError, ClientDisconnect) as error:
            raise ApiError(
                ErrorCode.UPLOAD_INVALID_MEDIA, "The upload ended early or is no valid multipart body."
            ) from error
        yield form.finish(video_id, writer)


def _most_bytes(headers: Mapping[str, str], max_bytes: int) -> int:
    """Return how large the file may be: no larger than the body; a store makes its parts for that size."""
    announced = headers.get("content-length", "")
    return min(max_bytes, int(announced)) if announced.isascii() and announced.isdigit() else max_bytes


async def _collect(form: _Form, body: AsyncIterator[bytes], writer: MediaWriter) -> None:
    async for chunk in body:
        form.feed(chunk)
        if form.waiting >= WRITE_BLOCK:
            await form.write_to(writer)
    await form.write_to(writer)


class _Form:
    """The parts of one multipart body: small fields in memory, the file's bytes only until they are written."""

    def __init__(self, boundary: bytes, max_bytes: int) -> None:
        self.size = 0
        self.waiting = 0
        self._hash = hashlib.sha256()
        self._max_bytes = max_bytes
        self._blocks: list[bytes] = []
        self._fields: dict[str, bytearray] = {}
        self._file_name: str | None = None
        self._in_file = False
        self._ended = False
        self._parts = 0
        self._headers: dict[bytes, bytes] = {}
        self._header_name = b""
        self._header_value = b""
        self._name = ""
        self._delimiter = b"--" + boundary
        self._preamble: bytes | None = b""
        """The last bytes before the first delimiter; None behind it."""
        self._skipped = 0
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_end": self._on_end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        """Parse a piece of the body.

        Raises:
            FormParserError: it is malformed.
            ApiError: a part is not allowed.
        """
        if self._preamble is not None:
            chunk = self._skip_preamble(chunk)
        if chunk:
            self._parser.write(chunk)

    def _skip_preamble(self, chunk: bytes) -> bytes:
        """Drop what precedes the first delimiter (RFC 2046, section 5.1.1). Return the body from there on."""
        assert self._preamble is not None  # noqa: S101 - see feed
        seen = self._preamble + chunk
        if seen.startswith(self._delimiter):
            self._preamble = None
            return seen
        at = seen.find(b"\r\n" + self._delimiter)
        if at >= 0:
            self._preamble = None
            return seen[at + 2 :]
        self._skipped += len(chunk)
        if self._skipped > MAX_PREAMBLE_BYTES:
            raise ApiError(ErrorCode.UPLOAD_INVALID_MEDIA, "The body has no part: its boundary does not come.")
        if self._delimiter.startswith(seen):
            self._preamble = seen
        else:
            # A byte before, so that the delimiter is found behind an end of line only.
            self._preamble = b"\0" + seen[-len(self._delimiter) - 1 :].removeprefix(b"\0")
        return b""

    async def write_to(self, writer: MediaWriter) -> None:
        """Write the file's bytes that were parsed so far. Raises OSError."""
        data = b"".join(self._blocks)
        self._blocks.clear()
        self.waiting = 0
        await asyncio.to_thread(self._hash.update, data)
        await writer.write(data)

    def finish(self, video_id: str, writer: MediaWriter) -> Upload:
        """Return the upload, once the body has ended.

        Raises:
            ApiError: the body ended early, had no file, or a field is bad.
        """
        if not self._ended:
            raise ApiError(ErrorCode.UPLOAD_INVALID_MEDIA, "The upload ended before it was complete; send it again.")
        if self._file_name is None:
            raise ApiError(ErrorCode.UPLOAD_INVALID_MEDIA, "The upload has no part named file.")
        labels = parse_labels({name: self._text(name) for name in self._fields}, self._file_name)
        return Upload(video_id, writer, self.size, **asdict(labels), sha256=self._hash.hexdigest())

    def _text(self, name: str) -> str:
        return self._fields.get(name, bytearray()).decode("utf-8", "replace")

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise ApiError(ErrorCode.UPLOAD_INVALID_MEDIA, f"An upload has at most {MAX_PARTS} parts.")
        self._headers.clear()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]
        self._check_header_size()

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]
        self._check_header_size()

    def _check_header_size(self) -> None:
        if len(self._header_name) + len(self._header_value) > MAX_HEADER_BYTES:
            raise ApiError(ErrorCode.UPLOAD_INVALID_MEDIA, "A part's header is too long.")

    def _on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._in_file = self._name == "file"
        if self._in_file:
            if self._file_name is not None:
                raise ApiError(ErrorCode.UPLOAD_INVALID_MEDIA, "Send one file in a request.")
            self._file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        elif self._name not in _FIELDS:
            raise invalid_field(self._name[:50], "is not a field of an upload")
        else:
            self._fields[self._name] = bytearray()

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self.size += end - start
            if self.size > self._max_bytes:
                raise ApiError(ErrorCode.UPLOAD_TOO_LARGE, details={"limit_bytes": self._max_bytes})
            self._blocks.append(data[start:end])
            self.waiting += end - start
            return
        field = self._fields[self._name]
        field += data[start:end]
        if len(field) > MAX_FIELD_BYTES:
            raise invalid_field(self._name, "is too long")

    def _on_end(self) -> None:
        self._ended = True
