"""The ASGI extension's message, and what an application may hand over with it."""

from __future__ import annotations

from collections.abc import Callable
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
