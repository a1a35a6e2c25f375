"""The guard against server-side request forgery: which machines may be contacted for files.

Names are resolved here, every address is checked, and the connection goes to a checked address: a name that resolves
differently a moment later (DNS rebinding) changes nothing. TLS still checks the certificate for the name.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpcore
from anyio.abc import SocketStream

# Not exported; the backend that creates it sets socket options only after connecting.
from httpcore._backends.anyio import AnyIOStream

from kit.origins.errors import OriginBlockedError, OriginInterruptedError

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[Address]]]
_NAT64 = IPv6Network("64:ff9b::/96")
_MAX_ADDRESSES = 8
_SMALL_BUFFER_BYTES = 8192
_SEGMENT_BYTES = 1460
"""Payload of an Ethernet frame with IPv4 and TCP headers."""


def is_public(address: Address) -> bool:
    """Return whether an address is public (IANA's special-purpose registries, RFC 6890).

    An IPv6 address that embeds an IPv4 one (mapped, NAT64, 6to4, Teredo) is public if that one is.
    """
    if isinstance(address, IPv6Address):
        if (inner := _embedded(address)) is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour


class Guard:
    """The permitted origins: public addresses, and the operator's exceptions.

    Args:
        allow: networks (`10.1.0.0/16`), addresses, and host names, separated by commas: they need not be public.
        ports: permitted ports, separated by commas; `*` for all.

    Raises:
        ValueError: an entry is malformed.
    """

    def __init__(self, allow: str = "", ports: str = "80,443") -> None:
        self._networks: list[IPv4Network | IPv6Network] = []
        self._hosts: set[str] = set()
        for entry in _entries(allow):
            try:
                self._networks.append(ip_network(entry))
            except ValueError:
                if "/" in entry or entry.replace(".", "").isdigit():
                    raise
                self._hosts.add(entry.lower().removesuffix("."))
        self._ports = None if ports.strip() == "*" else {_port(entry) for entry in _entries(ports)}

    def check_port(self, port: int) -> None:
        """Raise OriginBlockedError for a port that is not permitted."""
        if self._ports is not None and port not in self._ports:
            raise OriginBlockedError(f"port {port} may not be asked")

    def permits(self, host: str, address: Address) -> bool:
        """Return whether an address of a host name is permitted."""
        if host in self._hosts or is_public(address):
            return True
        plain = address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
        return any(plain in network for network in self._networks)


def _entries(text: str) -> Iterable[str]:
    return (entry for part in text.split(",") if (entry := part.strip()))


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:  # noqa: PLR2004 - what a port is
        raise ValueError(f"{port} is no port")
    return port


class Resolver:
    """Resolves names by the system, in threads of its own: a DNS server that hangs delays nothing else.

    Args:
        threads: concurrent look-ups.
    """

    def __init__(self, threads: int = 8) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> list[Address]:
        """Return the addresses of a host; raise OriginInterruptedError when there are none."""
        try:
            return [ip_address(host)]
        except ValueError:
            pass
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, _look_up, host, port)
        except OSError as error:
            raise OriginInterruptedError(f"{host} has no address") from error
        return [ip_address(text) for text in dict.fromkeys(found)][:_MAX_ADDRESSES]

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    # A link-local address comes with its zone, `fe80::1%eth0`; without the zone it is refused just the same.
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(answer[4][0]).partition("%")[0] for answer in answers]


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses only.

    Args:
        guard: checks; None for a host that the operator named, such as the endpoint of S3.
        resolve: resolves host names.
        small_buffers: keeps origins from sending much that is never read; too slow for reading films.
    """

    def __init__(self, guard: Guard | None, resolve: Resolve, *, small_buffers: bool = False) -> None:
        self._guard = guard
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()
        self._small_buffers = small_buffers

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first permitted address that answers.

        Raises:
            OriginBlockedError: no address of the host is permitted, or not this port.
            OriginInterruptedError: the host has no address.
            httpcore.ConnectError: none answered; ConnectTimeout: not in time.
        """
        if self._guard is not None:
            self._guard.check_port(port)
        try:
            async with asyncio.timeout(timeout):
                found = await self._resolve(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} was not resolved in time") from error
        permitted = [address for address in found if self._guard is None or self._guard.permits(host, address)]
        if not permitted:
            raise OriginBlockedError(f"{host} is no public address")
        for left, address in enumerate(permitted, 1 - len(permitted)):
            try:
                if self._small_buffers:
                    return await _connect_small(address, port, timeout)
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if not left:
                    raise
        raise AssertionError("unreachable")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._network.sleep(seconds)


async def _connect_small(address: Address, port: int, timeout_sec: float | None) -> httpcore.AsyncNetworkStream:
    """Connect to an address with small buffers, which must be set before connecting.

    How much a server sends ahead depends on the segment size of this side: on the loopback it is megabytes.

    Raises:
        httpcore.ConnectError: it does not answer; ConnectTimeout: not in time.
    """
    connection = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6)  # noqa: PLR2004 - of IP
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
        if sys.platform == "linux":
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)
        async with asyncio.timeout(timeout_sec):
            await asyncio.get_running_loop().sock_connect(connection, (str(address), port))
        return AnyIOStream(await SocketStream.from_socket(connection))
    except TimeoutError as error:
        connection.close()
        raise httpcore.ConnectTimeout(f"{address} does not answer in time") from error
    except OSError as error:
        connection.close()
        raise httpcore.ConnectError(str(error)) from error
    except BaseException:
        connection.close()
        raise
