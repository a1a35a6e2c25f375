"""A part of a file that is being sent into a socket."""

from __future__ import annotations

import errno
import os
import socket

BLOCK_BYTES = 256 * 1024
"""Most bytes sent at a time; of 64 KiB, 256 KiB and 1 MiB the best for the waiting times of other connections."""


class SendSegment:
    """A prefix to write, and then a range of a file.

    Args:
        prefix: bytes that precede the range on the wire.
        file: the descriptor.
        offset: the range's first byte.
        count: the range's length.
    """

    __slots__ = ("file", "has_started", "keeps_file", "left", "offset", "prefix")

    def __init__(self, prefix: bytes, file: int, offset: int, count: int) -> None:
        self.prefix = prefix
        self.file = file
        self.offset = offset
        self.left = count
        self.has_started = False
        """Whether anything has been written, so that the client would notice if the rest was not sent."""
        self.keeps_file = False
        """Whether the descriptor is a duplicate that this object closes."""

    @property
    def is_sent(self) -> bool:
        """Whether all bytes are in the kernel."""
        return not self.left and not self.prefix

    def send_block(self, sock: socket.socket) -> int:
        """Write the prefix and up to one block of the range. Return how many bytes of the range were written.

        Raises:
            BlockingIOError: the socket takes nothing now.
            OSError: the file can't be read, or ends early; or the connection has ended.
        """
        if self.prefix:
            # Without MSG_MORE, which would send it in one TCP segment with the range: over loopback, a range of 64 KiB
            # then costs half as much again.
            taken = sock.send(self.prefix)
            self.has_started = True
            self.prefix = self.prefix[taken:]
            if self.prefix:
                return 0
        if not self.left:
            return 0
        taken = os.sendfile(sock.fileno(), self.file, self.offset, min(self.left, BLOCK_BYTES))
        if not taken:
            raise _ended_early(self.offset)
        self.has_started = True
        self.offset += taken
        self.left -= taken
        return taken

    def read_and_send_block(self, sock: socket.socket) -> int:
        """Do the same as `send_block`, in a thread. Nothing is written before the file has been read from.

        Raises:
            OSError: as for `send_block`.
        """
        if self.prefix and self.left and not os.pread(self.file, 1, self.offset):
            raise _ended_early(self.offset)
        try:
            return self.send_block(sock)
        except BlockingIOError:
            return 0

    def keep_file(self) -> None:
        """Duplicate the descriptor, so that the owner of the file may close it."""
        if not self.keeps_file:
            self.file = os.dup(self.file)
            self.keeps_file = True

    def close(self) -> int:
        """Close the duplicate, if there is one."""
        if self.keeps_file:
            self.keeps_file = False
            os.close(self.file)
        return 0


def _ended_early(offset: int) -> OSError:
    return OSError(errno.ENODATA, f"the file ends at or before byte {offset}")
