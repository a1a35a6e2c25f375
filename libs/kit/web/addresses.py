"""Client addresses: which proxies are trusted, and which addresses count as one client."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

IPV6_CLIENT_PREFIX = 64
"""Bits of an IPv6 address that tell clients apart: a host may take any address of its /64 (RFC 4291, 2.5.1)."""
_MAX_ADDRESS_CHARS = 64
_KEPT = 4096


def parse_networks(text: str) -> tuple[Network, ...]:
    """Return the networks of a list that is separated by commas; a bare address is a network of one.

    Raises:
        ValueError: an entry is neither an address nor a network.
    """
    networks = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        try:
            networks.append(ipaddress.ip_network(entry, strict=False))
        except ValueError as error:
            raise ValueError(
                f'must be addresses or networks such as 10.0.0.0/8 or fd00::/8, separated by commas, not "{entry}"'
            ) from error
    return tuple(networks)


@functools.lru_cache(maxsize=_KEPT)
def plain_address(address: str) -> str:
    """Return an address in its usual form: an IPv4 client of an IPv6 socket (`::ffff:192.0.2.1`) as IPv4."""
    parsed = _parsed(address)
    if parsed is None:
        return address[:_MAX_ADDRESS_CHARS]
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


@functools.lru_cache(maxsize=_KEPT)
def client_network(address: str) -> str:
    """Return the key by which limits count an address: an IPv4 address itself, the /64 of an IPv6 address.

    Other text (a Unix socket's peer has no address) is returned as it is.
    """
    parsed = _parsed(plain_address(address))
    if not isinstance(parsed, ipaddress.IPv6Address):
        return plain_address(address)
    return str(ipaddress.ip_network((parsed.packed, IPV6_CLIENT_PREFIX), strict=False))


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None


class ForwardedHeaders:
    """ASGI middleware that takes the client's address and scheme from trusted proxies.

    `X-Forwarded-For` is read from the right: the first address that is no trusted proxy's is the client's. When all
    are, the leftmost is: the client is in the proxies' own network.

    Args:
        app: the wrapped application.
        trusted: networks of the trusted proxies. Headers of any other peer are ignored.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self._app = app
        self._trusted = tuple(trusted)
        self._trusts = functools.lru_cache(maxsize=_KEPT)(self._is_trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        client = scope.get("client")
        if client:
            address = plain_address(client[0])
            if self._trusted and self._trusts(address):
                self._believe(scope, client)
            elif address != client[0]:
                scope["client"] = (address, client[1])
        await self._app(scope, receive, send)

    def _believe(self, scope: Scope, client: tuple[str, int]) -> None:
        forwarded: list[bytes] = []
        scheme = b""
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                forwarded.append(value)
            elif name == b"x-forwarded-proto":
                scheme = value.strip().lower()
        address, port = plain_address(client[0]), client[1]
        hops = [_host(hop) for hop in b",".join(forwarded).decode("latin-1").split(",") if hop.strip()]
        if hops:
            address, port = next((hop for hop in reversed(hops) if not self._trusts(hop)), hops[0]), 0
        scope["client"] = (address, port)
        if scheme in (b"http", b"https"):
            scope["scheme"] = scheme.decode()

    def _is_trusted(self, address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._trusted)


def _host(hop: str) -> str:
    """Return the address of an entry of `X-Forwarded-For`; some proxies add the port."""
    hop = hop.strip()
    if hop.startswith("["):
        return plain_address(hop[1:].partition("]")[0])
    host, colon, port = hop.partition(":")
    return plain_address(host if colon and port.isdecimal() else hop)
