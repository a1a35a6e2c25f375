"""The ASGI extension's message, and what an application may hand over with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Literal, NotRequired, Protocol, TypedDict

EXTENSION: Literal["http.response.zerocopysend"] = "http.response.zerocopysend"
"""The extension's name in `scope["extensions"]`, and the type of its message (ASGI, Extensions: Zero Copy Send)."""


class HasFileno(Protocol):
    """An open file, a socket: whatever has a descriptor."""

    def fileno(self) -> int:
        """The descriptor."""


class Residency(Protocol):
    """Knows which parts of a file can be sent without waiting for a disk, and has threads for the others."""

    def is_resident(self, fd: int, offset: int, count: int) -> bool:
        """Whether `count` bytes from `offset` are in memory. Does no I/O and takes microseconds.

        Raises:
            OSError: the file can't be read.
        """

    def run(self, step: Callable[[], int]) -> Future[int]:
        """Runs a step that may wait for a disk in a thread.

        Raises:
            RuntimeError: the threads have been shut down.
        """


class RangeAnswer(Protocol):
    """An answer to a GET whose body is one part of a file, and what watches it being sent."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """Fields that many answers share, without `Content-Length`.

        As long as this is the same object, status and fields are written once.
        """

    @property
    def fields(self) -> Sequence[tuple[bytes, bytes]]:
        """Fields of this answer alone, without `Content-Length`."""

    @property
    def file(self) -> HasFileno:
        """The file, open until `end`."""

    @property
    def offset(self) -> int:
        """First byte of the part."""

    @property
    def count(self) -> int:
        """How many bytes; at least one."""

    @property
    def residency(self) -> Residency | None:
        """As in `ZeroCopySendEvent`."""

    def sent(self, count: int) -> None:
        """The kernel took so many bytes more."""

    def waits(self, abort: Callable[[], None]) -> None:
        """The client is slower than the file, and the rest takes time; `abort` ends the connection."""

    def end(self, *, completed: bool) -> None:
        """All is in the kernel, or nothing more will be.

        An answer of which nothing was written because the file can't be read is dropped without this: the request goes
        the ordinary way.
        """


class ZeroCopySendEvent(TypedDict):
    """Part of a file as part of a response's body.

    It may come wherever `http.response.body` may. The file stays the application's, which keeps it open until `send`
    has returned and closes it afterwards.

    `send` returns when all bytes are in the kernel, or at once when the client is gone: that is no error, and
    `receive` tells of it. It raises OSError when the file can't be read or ends early. If nothing of the response had
    been written by then, the application may start another one; otherwise the connection ends before the promised
    length, which is how the client learns of it (RFC 9112, section 8).
    """

    type: Literal["http.response.zerocopysend"]
    file: int | HasFileno
    """A descriptor, or what has one."""
    offset: NotRequired[int]
    """First byte to send; without it the file's position, which then moves behind the last byte sent."""
    count: NotRequired[int]
    """How many bytes; without it all up to the end of the file."""
    more_body: NotRequired[bool]
    """Whether more of the body follows; False if left out."""
    sent: NotRequired[Callable[[int], None]]
    """An addition to the specification: called after each block with the number of bytes the kernel took."""
    residency: NotRequired[Residency]
    """An addition to the specification: blocks that are not in memory are sent by its threads, not by the loop."""
    again: NotRequired[Callable[[bytes], RangeAnswer | None]]
    """An addition to the specification: answers, at once, the request that this response answers with another value
    of `Range`. With it, the server need not come back through the application as long as the client sends the same
    request but for that value. None sends such a request the ordinary way. Whatever else the first answer depended on
    is for this function to look at again."""
