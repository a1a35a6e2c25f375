"""Send parts of files into a connection with `os.sendfile`: the state machine behind the extension.

Sending begins at once: the first block is sent in the call that asks for it. The rest follows block by block, one per
turn of the event loop, so that a fast reader can't delay other connections. When the socket is full the loop waits for
it, so that a slow reader costs nothing. A block that is not in memory is sent by a thread, so that a slow disk does not
delay other connections.

The loop's own `sendfile` does not do: its future hangs when the transport is closed meanwhile, its failure does not say
how much was sent, and it sends an unlimited amount in one turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from concurrent.futures import Future

from zerocopy.messages import Residency
from zerocopy.segment import BLOCK_BYTES, SendSegment
from zerocopy.slow import SlowReaders

SLOW_UNSENT_BYTES = 128 * 1024
"""Bytes that the kernel may buffer for a slow reader beyond what is in flight (TCP_NOTSENT_LOWAT); with so few, a fast
reader would cost many more turns of the loop."""


class ClientGoneError(Exception):
    """The connection has ended; nothing more can be sent."""


class Sender:
    """Send parts of files into one connection, one at a time.

    It writes to a duplicate of the transport's socket: the loop refuses to watch a descriptor that a transport uses,
    and a thread may still use it when the transport has closed its own. The owner of the transport must make sure that
    its buffer is empty before a part begins.

    Args:
        loop: the connection's event loop.
        transport: the connection.
        slow: watches transfers that wait for their reader.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, slow: SlowReaders) -> None:
        self._loop = loop
        self._transport = transport
        self._slow = slow
        self._socket: socket.socket = transport.get_extra_info("socket").dup()
        self._is_economical = False
        self._sent: Callable[[int], None] | None = None
        self._residency: Residency | None = None
        # While a part waits for something:
        self._part: SendSegment | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._turn: asyncio.Handle | None = None
        self._watches_socket = False
        self._step: Future[int] | None = None
        self.moved_at = 0.0
        """When bytes last moved, in the loop's time; kept only while a part waits."""

    @property
    def is_busy(self) -> bool:
        """Whether a part is being sent."""
        return self._part is not None

    def send(
        self, part: SendSegment, sent: Callable[[int], None] | None = None, residency: Residency | None = None
    ) -> asyncio.Future[None] | None:
        """Send a part of a file, which has to stay open until this is done.

        Args:
            part: what to send.
            sent: called with the number of bytes of the file that the kernel took, block by block.
            residency: decides which blocks are sent by threads.

        Returns:
            None when all bytes are in the kernel; otherwise a future that is done when they are, and may raise the same
            errors as this method.

        Raises:
            ClientGoneError: the connection has ended.
            OSError: the file can't be read, or ends before the part does.
        """
        if self._part is not None:
            raise RuntimeError("A part of a file is still being sent.")
        self._sent = sent
        self._residency = residency
        next_step = self._send_block(part)
        if next_step is None:
            return None
        self._part = part
        self._waiter = waiter = self._loop.create_future()
        self.moved_at = self._loop.time()
        self._slow.watch(self)
        next_step(part)
        return waiter

    def stop(self) -> None:
        """Stop sending the current part, if there is one, because its result is no longer needed."""
        if self._part is not None and self._step is not None and not self._step.cancel():
            # The thread may still write.
            self._part.has_started = True
        self._end(None)

    def close(self) -> None:
        """End the current part with ClientGoneError and write nothing more. Call it when the connection is lost."""
        step = self._step
        self._end(ClientGoneError())
        if step is None or step.done():
            self._socket.close()
            return
        # A thread still uses the socket, perhaps for long. Shut it down now, so that the client need not wait for that.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        step.add_done_callback(lambda _: self._socket.close())

    def economize(self) -> None:
        """Make the kernel buffer less for a slow reader from now on."""
        if not self._is_economical and self._socket.family in {socket.AF_INET, socket.AF_INET6}:
            self._is_economical = True
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, SLOW_UNSENT_BYTES)

    def abort(self) -> None:
        """Abort the connection."""
        self._transport.abort()

    def _send_block(self, part: SendSegment) -> Callable[[SendSegment], None] | None:
        """Send up to one block. Return the function that continues, or None when all is sent."""
        try:
            if self._residency is not None and not self._residency.is_resident(
                part.file, part.offset, min(part.left, BLOCK_BYTES)
            ):
                return self._send_from_thread
            taken = part.send_block(self._socket)
        except BlockingIOError:
            return self._wait_for_room
        except OSError as error:
            if self._is_gone(error):
                raise ClientGoneError from error
            raise
        if self._sent is not None and taken:
            self._sent(taken)
        if part.is_sent:
            return None
        return self._wait_for_turn if taken == BLOCK_BYTES else self._wait_for_room

    def _is_gone(self, error: OSError) -> bool:
        """Return whether `sendfile` failed because of the connection; it raises the same errors for the file."""
        if error.errno == errno.EPIPE:
            return True
        try:
            self._socket.getpeername()
        except OSError:
            return True
        return False

    def _continue(self, part: SendSegment) -> None:
        self._turn = None
        left = part.left
        try:
            next_step = self._send_block(part)
        except Exception as error:  # noqa: BLE001 - the waiting caller gets it
            self._end(error)
            return
        if part.left != left:
            self.moved_at = self._loop.time()
        if next_step is None:
            self._end(None)
        else:
            next_step(part)

    def _wait_for_turn(self, part: SendSegment) -> None:
        if not self._watches_socket:
            self._turn = self._loop.call_soon(self._continue, part)

    def _wait_for_room(self, part: SendSegment) -> None:
        if not self._watches_socket:
            self._watches_socket = True
            self._loop.add_writer(self._socket, self._continue, part)

    def _stop_watching(self) -> None:
        if self._watches_socket:
            self._watches_socket = False
            self._loop.remove_writer(self._socket)

    def _send_from_thread(self, part: SendSegment) -> None:
        assert self._residency is not None  # noqa: S101 - it returned that the block is not resident
        self._stop_watching()
        try:
            part.keep_file()
            self._step = step = self._residency.run(lambda: part.read_and_send_block(self._socket))
        except Exception as error:  # noqa: BLE001 - the waiting caller gets it
            self._end(error)
            return

        def notify_loop(_: Future[int]) -> None:
            # The loop may be closed: then nothing waits for the part.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._step_is_done, part, step)

        step.add_done_callback(notify_loop)

    def _step_is_done(self, part: SendSegment, step: Future[int]) -> None:
        if step is not self._step:
            return
        self._step = None
        try:
            taken = step.result()
            if self._sent is not None and taken:
                self._sent(taken)
        except OSError as error:
            self._end(ClientGoneError() if self._is_gone(error) else error)
            return
        except Exception as error:  # noqa: BLE001 - the waiting caller gets it
            self._end(error)
            return
        if taken:
            self.moved_at = self._loop.time()
        if part.is_sent:
            self._end(None)
        elif taken == BLOCK_BYTES:
            self._continue(part)
        else:
            self._wait_for_room(part)

    def _end(self, error: Exception | None) -> None:
        part, waiter, step = self._part, self._waiter, self._step
        if part is None or waiter is None:
            return
        self._part = self._waiter = self._step = None
        self._stop_watching()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        self._slow.forget(self)
        if part.keeps_file and self._residency is not None:
            _close_file(part, step, self._residency)
        self._sent = self._residency = None
        if not waiter.done():
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)


def _close_file(part: SendSegment, step: Future[int] | None, residency: Residency) -> None:
    """Close a part's own descriptor when its thread is done, and in a thread: closing may wait for the store, too."""
    if step is not None and not step.cancel() and not step.done():
        step.add_done_callback(lambda _: part.close())
        return
    try:
        residency.run(part.close)
    except RuntimeError:
        # The threads have been shut down: the process is ending, so that blocking here delays no connection.
        part.close()
