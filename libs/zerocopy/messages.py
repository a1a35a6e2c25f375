"""The ASGI extension's message and the objects that an application may pass in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Literal, NotRequired, Protocol, TypedDict

EXTENSION: Literal["http.response.zerocopysend"] = "http.response.zerocopysend"
"""The extension's name in `scope["extensions"]`, and the type of its message (ASGI, Extensions: Zero Copy Send)."""


class HasFileno(Protocol):
    """An object with a file descriptor, such as an open file or a socket."""

    def fileno(self) -> int:
        """Return the descriptor."""


class Residency(Protocol):
    """Know which parts of a file can be sent without waiting for a disk, and run threads for the others."""

    def is_resident(self, fd: int, offset: int, count: int) -> bool:
        """Return whether `count` bytes from `offset` are in memory. Takes microseconds and never waits for a disk.

        Raises:
            OSError: the file can't be read.
        """

    def run(self, step: Callable[[], int]) -> Future[int]:
        """Run a step that may wait for a disk in a thread.

        Raises:
            RuntimeError: the threads have been shut down.
        """


class RangeAnswer(Protocol):
    """A response to a GET whose body is one part of a file, with callbacks for its progress."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """Fields that many responses share, without `Content-Length`.

        As long as this is the same object, status and these fields are serialised only once.
        """

    @property
    def fields(self) -> Sequence[tuple[bytes, bytes]]:
        """Fields of this response alone, without `Content-Length`."""

    @property
    def file(self) -> HasFileno:
        """The file, open until `end`."""

    @property
    def offset(self) -> int:
        """First byte of the part."""

    @property
    def count(self) -> int:
        """Number of bytes; at least one."""

    @property
    def residency(self) -> Residency | None:
        """As in `ZeroCopySendEvent`."""

    def sent(self, count: int) -> None:
        """Record that the kernel took `count` bytes more."""

    def waits(self, abort: Callable[[], None]) -> None:
        """Record that the client is slower than the file, so that the rest takes time; `abort` ends the connection."""

    def end(self, *, completed: bool) -> None:
        """Record that all bytes are in the kernel, or that no more will be.

        Not called if the file can't be read before anything was written: the application then
        answers the request as usual.
        """


class ZeroCopySendEvent(TypedDict):
    """Send a part of a file as a part of a response's body.

    Allowed wherever `http.response.body` is. The application owns the file, keeps it open until `send` has returned,
    and closes it afterwards.

    `send` returns when all bytes are in the kernel, or at once when the client is gone: that is no error, and
    `receive` reports it. It raises OSError when the file can't be read or ends early. If nothing of the response had
    been written by then, the application may start another one; otherwise the connection ends before the promised
    length, by which the client recognises the failure (RFC 9112, section 8).
    """

    type: Literal["http.response.zerocopysend"]
    file: int | HasFileno
    """A descriptor, or an object that has one."""
    offset: NotRequired[int]
    """First byte to send; without it the file's position, which then moves behind the last byte sent."""
    count: NotRequired[int]
    """Number of bytes; without it all up to the end of the file."""
    more_body: NotRequired[bool]
    """Whether more of the body follows; False if left out."""
    sent: NotRequired[Callable[[int], None]]
    """An addition to the specification: called after each block with the number of bytes the kernel took."""
    residency: NotRequired[Residency]
    """An addition to the specification: blocks that are not in memory are sent by its threads, not by the loop."""
    again: NotRequired[Callable[[bytes, Mapping[bytes, bytes]], RangeAnswer | None]]
    """An addition to the specification: return at once the response to the same request with another value of `Range`.
    With it, the server need not call the application as long as the client repeats the request with only that value
    changed. After None, the application answers the request. This function has to check everything else that the first
    response depended on. Its second argument has the values of the fields in `tracing`."""
    tracing: NotRequired[frozenset[bytes]]
    """Names, in lower case, of fields whose values may change as well, as those that only tell requests apart. Those
    that the request has are passed to `again`; nothing else of the response may depend on them."""
