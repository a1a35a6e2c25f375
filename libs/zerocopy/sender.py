"""Sends parts of files into a connection with `os.sendfile`: the state machine behind the extension.

A part begins at once: its first block goes out in the call that asks for it. The rest follows block by block, one a
turn of the event loop, so that a fast reader can't hold up others. Where the socket is full the loop waits for it, so
that a slow reader costs nothing. A block that is not in memory is sent by a thread, so that a slow disk holds up
nobody.

The loop's own `sendfile` is no help here: its future hangs when the transport is closed meanwhile, its failure does
not say how much was sent, and it sends without bounds in one turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from concurrent.futures import Future

from zerocopy.messages import Residency
from zerocopy.part import BLOCK_BYTES, Part
from zerocopy.slow import SlowReaders

SLOW_UNSENT_BYTES = 128 * 1024
"""What the kernel may hold for a slow reader beyond what is on its way; with so little, a fast one would cost many more
turns of the loop."""


class ClientGoneError(Exception):
    """The connection has ended; nothing more can be sent."""


class Sender:
    """Sends parts of files into one connection, one at a time.

    It writes to a duplicate of the transport's socket: the loop refuses to watch a descriptor that a transport uses,
    and a thread may still be at it when the transport has closed its own. Whoever owns the transport makes sure that
    its buffer is empty before a part begins.

    Args:
        loop: the connection's event loop.
        transport: the connection.
        slow: looks after parts that wait.
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
        self._part: Part | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._turn: asyncio.Handle | None = None
        self._watches_socket = False
        self._step: Future[int] | None = None
        self.moved_at = 0.0
        """When bytes last moved, in the loop's time; kept only while a part waits."""

    @property
    def busy(self) -> bool:
        """Whether a part is under way."""
        return self._part is not None

    def send(
        self, part: Part, sent: Callable[[int], None] | None = None, residency: Residency | None = None
    ) -> asyncio.Future[None] | None:
        """Sends a part of a file, which has to stay open until this is done.

        Args:
            part: what to send.
            sent: told the number of bytes of the file that the kernel took, block by block.
            residency: says which blocks threads have to send.

        Returns:
            None when all is in the kernel; otherwise a future that ends when it is, or as this method may.

        Raises:
            ClientGoneError: the connection has ended.
            OSError: the file can't be read, or ends before the part does.
        """
        if self._part is not None:
            raise RuntimeError("A part of a file is still being sent.")
        self._sent = sent
        self._residency = residency
        go_on = self._send_block(part)
        if go_on is None:
            return None
        self._part = part
        self._waiter = waiter = self._loop.create_future()
        self.moved_at = self._loop.time()
        self._slow.watch(self)
        go_on(part)
        return waiter

    def stop(self) -> None:
        """Ends the part under way, if there is one: nobody waits for it any more."""
        if self._part is not None and self._step is not None and not self._step.cancel():
            # The thread may write yet.
            self._part.started = True
        self._end(None)

    def close(self) -> None:
        """To be called when the connection is lost. Whoever waits learns of it, and nothing is written any more."""
        step = self._step
        self._end(ClientGoneError())
        if step is None or step.done():
            self._socket.close()
            return
        # A thread is still at it, perhaps for long. The client need not wait for that.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        step.add_done_callback(lambda _: self._socket.close())

    def economize(self) -> None:
        """Has the kernel hold less for a slow reader, from now on."""
        if not self._is_economical and self._socket.family in {socket.AF_INET, socket.AF_INET6}:
            self._is_economical = True
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, SLOW_UNSENT_BYTES)

    def abort(self) -> None:
        """Ends the connection."""
        self._transport.abort()

    def _send_block(self, part: Part) -> Callable[[Part], None] | None:
        """Sends up to one block, and answers how to go on; None is the end."""
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
        """Whether `sendfile` failed because of the connection; it fails in the same ways for the file."""
        if error.errno == errno.EPIPE:
            return True
        try:
            self._socket.getpeername()
        except OSError:
            return True
        return False

    def _go_on(self, part: Part) -> None:
        self._turn = None
        left = part.left
        try:
            go_on = self._send_block(part)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            self._end(error)
            return
        if part.left != left:
            self.moved_at = self._loop.time()
        if go_on is None:
            self._end(None)
        else:
            go_on(part)

    def _wait_for_turn(self, part: Part) -> None:
        if not self._watches_socket:
            self._turn = self._loop.call_soon(self._go_on, part)

    def _wait_for_room(self, part: Part) -> None:
        if not self._watches_socket:
            self._watches_socket = True
            self._loop.add_writer(self._socket, self._go_on, part)

    def _stop_watching(self) -> None:
        if self._watches_socket:
            self._watches_socket = False
            self._loop.remove_writer(self._socket)

    def _send_from_thread(self, part: Part) -> None:
        assert self._residency is not None  # noqa: S101 - it has just said that the block is not resident
        self._stop_watching()
        try:
            part.keep_file()
            self._step = step = self._residency.run(lambda: part.read_and_send_block(self._socket))
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            self._end(error)
            return

        def tell_loop(_: Future[int]) -> None:
            # A closed loop has nobody left to tell.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._step_is_done, part, step)

        step.add_done_callback(tell_loop)

    def _step_is_done(self, part: Part, step: Future[int]) -> None:
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
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            self._end(error)
            return
        if taken:
            self.moved_at = self._loop.time()
        if part.is_sent:
            self._end(None)
        elif taken == BLOCK_BYTES:
            self._go_on(part)
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


def _close_file(part: Part, step: Future[int] | None, residency: Residency) -> None:
    """Closes a part's own descriptor when its thread is back, and in a thread: closing may wait for the store, too."""
    if step is not None and not step.cancel() and not step.done():
        step.add_done_callback(lambda _: part.close())
        return
    try:
        residency.run(part.close)
    except RuntimeError:
        # The threads have been shut down: the process is ending, and nobody is left to be held up.
        part.close()
