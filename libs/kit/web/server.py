"""The HTTP server of a process, and how it stops.

A stop has three steps. For a notice period the service is not ready but still answers, so that load balancers can
notice. Then the listener and all idle connections close. Running responses get `drain_sec` seconds; those that are not
complete by then are cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Self

import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from kit.settings import ServiceSettings, SettingsError
from kit.web.addresses import ForwardedHeaders, parse_networks
from zerocopy import Listener, ZeroCopyProtocol

log = structlog.get_logger()

OPEN_FILES = 65_536
_STEP_SEC = 0.02
_LAST_WORDS_SEC = 1.0
_CLOSE = (b"connection", b"close")


class HttpServer(uvicorn.Server):
    """Uvicorn with signal handling and draining of our own.

    Args:
        app: the application.
        settings: settings of the process.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app = ForwardedHeaders(app, parse_networks(settings.trusted_proxies))
        self._notice_sec = settings.drain_notice_sec
        self._drain_sec = settings.drain_sec
        self._stopping = False
        self._cuts_off = False
        self._listeners: list[Listener] = []
        super().__init__(
            uvicorn.Config(
                self._answer,
                interface="asgi3",
                http=type("Protocol", (ZeroCopyProtocol,), {"arrival_sec": settings.request_timeout_sec}),
                # No service speaks WebSocket: the offer is ignored, as any other upgrade is.
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                date_header=True,
                # `ForwardedHeaders` does it; uvicorn's own does not handle IPv4 addresses of IPv6 sockets.
                proxy_headers=False,
                timeout_keep_alive=75,
                backlog=4096,
            )
        )

    def stop(self) -> None:
        """Begin to stop; called again, stop at once."""
        if self._stopping:
            self.should_exit = self.force_exit = True
            return
        self._stopping = True
        self._refuse_keep_alive()
        asyncio.get_running_loop().call_later(self._notice_sec, setattr, self, "should_exit", True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `run_until_signal`."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop serving; uvicorn calls it ten times a second."""
        is_over = await super().on_tick(counter)
        self._refuse_keep_alive()
        return is_over

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections; uvicorn calls it when it begins to serve."""

        def make_protocol() -> asyncio.Protocol:
            # Typed by uvicorn as any protocol class, whose arguments are uvicorn's own.
            made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return made

        loop = asyncio.get_running_loop()
        self._listeners = [Listener(loop, listener, make_protocol) for listener in sockets or []]
        for listener in self._listeners:
            listener.start()
        self.servers = []
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listeners and drain the connections; uvicorn calls it at the end of serving."""
        for listener in self._listeners:
            listener.close()
        for sock in sockets or []:
            sock.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        # Those that came last bring a request: they get an answer, and are closed after it.
        for listener in self._listeners:
            await listener.settle()
        if await self._becomes_idle(self._drain_sec):
            return
        log.warning("answers_cut_off", connections=len(self.server_state.connections))
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        # Handlers receive `http.disconnect`; those that ignore it are cancelled.
        self._cuts_off = True
        self.force_exit = False
        if not await self._becomes_idle(_LAST_WORDS_SEC):
            tasks = list(self.server_state.tasks)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_LAST_WORDS_SEC)

    async def _becomes_idle(self, seconds: float) -> bool:
        """Wait until no response is running; return False after `seconds`, or after a second signal."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self.server_state.connections or self.server_state.tasks:
            if self.force_exit or loop.time() >= deadline:
                return False
            await asyncio.sleep(_STEP_SEC)
        return True

    def _refuse_keep_alive(self) -> None:
        """Add `Connection: close` to every response (RFC 9112, 9.6)."""
        # Uvicorn rebuilds the list once a second.
        if self._stopping and _CLOSE not in self.server_state.default_headers:
            self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not self._cuts_off:
                raise
            # Uvicorn would log a traceback.
            log.warning("answer_cancelled", path=scope["path"])


class Listeners(list[socket.socket]):
    """The listening sockets of a process, all with one port; a context manager that closes them."""

    @property
    def port(self) -> int:
        """Return the port of all sockets."""
        port: int = self[0].getsockname()[1]
        return port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all."""
        for listener in self:
            listener.close()


def listen_all(hosts: str, port: int) -> Listeners:
    """Return listening TCP sockets, one for each address.

    Args:
        hosts: addresses, separated by commas. `::` stands for all of IPv4, too, unless the list names IPv4 addresses.
        port: the same for all; for 0 the first address takes a free one.

    Raises:
        SettingsError: an address is taken or invalid.
    """
    addresses = list(dict.fromkeys(address.strip().strip("[]") for address in hosts.split(",")))
    names_ipv4 = any(":" not in address for address in addresses)
    with contextlib.ExitStack() as opened:
        listeners = Listeners()
        for address in addresses:
            takes_both = address == "::" and not names_ipv4
            listeners.append(opened.enter_context(listen(address, port, dual_stack=takes_both)))
            port = listeners.port
        opened.pop_all()
    return listeners


def listen(host: str, port: int, *, dual_stack: bool = False) -> socket.socket:
    """Return a listening TCP socket.

    Args:
        host: its address.
        port: its port; 0 takes a free one.
        dual_stack: whether an IPv6 socket accepts IPv4 connections, too.

    Raises:
        SettingsError: the address is taken or invalid.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server(
            (host, port), family=family, backlog=4096, dualstack_ipv6=dual_stack and socket.has_dualstack_ipv6()
        )
        # Accepted connections inherit it. asyncio sets it only where the protocol number is explicit, and without it an
        # answer written in two pieces waits 40 ms for the client's delayed acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise SettingsError(
            f"Can't listen on {host} port {port} ({error.strerror or error}); set MARQUEE_HTTP_PORT to a free one."
        ) from error
    return listener


def allow_connections() -> None:
    """Raise the limit of open files as far as the system allows: each viewer needs one or two.

    The usual soft limit, 1,024, is meant for programs that wait with `select(2)`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def run_until_signal(
    server: HttpServer, listeners: Sequence[socket.socket], on_signal: Callable[[], None], lifeline: int | None = None
) -> None:
    """Serve HTTP until SIGTERM or SIGINT; a second signal stops at once.

    Args:
        server: the server.
        listeners: listening sockets; closed at the end.
        on_signal: called at once when the process is going to stop.
        lifeline: a descriptor that becomes readable when the parent has ended, which ends serving, too.
    """
    loop = asyncio.get_running_loop()

    def stop() -> None:
        on_signal()
        server.stop()

    def stop_orphan(lifeline: int) -> None:
        loop.remove_reader(lifeline)
        log.error("parent_gone")
        stop()
        # No load balancer watches an orphan, and the next parent needs the port.
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if lifeline is not None:
        loop.add_reader(lifeline, stop_orphan, lifeline)
    # What was built up to here lives as long as the process. Each full collection would look through all of it again,
    # which holds up every request for 60 to 100 ms.
    gc.collect()
    gc.freeze()
    try:
        await server.serve(sockets=list(listeners))
    finally:
        if lifeline is not None:
            loop.remove_reader(lifeline)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
