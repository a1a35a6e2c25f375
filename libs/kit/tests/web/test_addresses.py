"""Client addresses: proxies that are believed, and what counts as one client."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from kit.web.addresses import ForwardedHeaders, client_network, parse_networks, plain_address


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_client_network_is_address_or_ipv6_64(address: str, network: str) -> None:
    assert client_network(address) == network


def test_plain_address_is_bounded_and_canonical() -> None:
    assert plain_address("::ffff:10.0.0.1") == "10.0.0.1"
    assert plain_address("2001:DB8:0:0::1") == "2001:db8::1"
    assert len(plain_address("x" * 10_000)) == 64


def test_networks_of_both_families_with_blanks_are_read() -> None:
    networks = parse_networks(" 10.0.0.0/8, 192.0.2.7,,fd00::/8 ,172.18.0.1/16,")
    assert [str(network) for network in networks] == ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8", "172.18.0.0/16"]
    assert parse_networks("") == ()


@pytest.mark.parametrize("text", ["*", "proxy.lan", "10.0.0.0/33", "10.0.0", "10.0.0.1 10.0.0.2", "fd00::/129"])
def test_entry_that_is_no_network_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="must be addresses or networks"):
        parse_networks(text)


async def seen(trusted: str, peer: str, *headers: tuple[str, str]) -> tuple[str, str]:
    """Return the client's address and the scheme that an application behind the middleware sees."""
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    scope = {
        "type": "http",
        "client": (peer, 50_000),
        "scheme": "http",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
    }
    await ForwardedHeaders(app, parse_networks(trusted))(scope, nothing, nothing)
    return scopes[0]["client"][0], scopes[0]["scheme"]


FOR, PROTO = "X-Forwarded-For", "X-Forwarded-Proto"


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ("", "10.0.0.1", "6.6.6.6", "10.0.0.1"),
        ("192.0.2.0/24", "10.0.0.1", "6.6.6.6", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.0/8", "10.0.0.1", "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("192.0.2.0/24,10.0.0.0/8", "10.0.0.1", "6.6.6.6, 203.0.113.9, 192.0.2.4, 10.3.2.1", "203.0.113.9"),
        ("10.0.0.0/8", "10.0.0.1", "10.9.9.9, 10.0.0.3", "10.9.9.9"),
        ("10.0.0.0/8", "::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("fd00::/8", "fd12:3456::1", "2001:db8::9", "2001:db8::9"),
        ("fd00::/8", "fd12:3456::1", "6.6.6.6, [2001:db8::9]:4711", "2001:db8::9"),
        ("10.0.0.0/8", "10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.0/8", "10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("10.0.0.0/8", "10.0.0.1", "6.6.6.6, nonsense", "nonsense"),
        ("10.0.0.0/8", "10.0.0.1", " , ", "10.0.0.1"),
        ("", "::ffff:198.51.100.7", "6.6.6.6", "198.51.100.7"),
    ],
)
async def test_address_is_the_last_that_no_trusted_proxy_has(
    trusted: str, peer: str, forwarded: str, client: str
) -> None:
    assert (await seen(trusted, peer, (FOR, forwarded)))[0] == client


async def test_several_fields_are_one_list() -> None:
    fields = ((FOR, "6.6.6.6"), (FOR, "203.0.113.9"), (FOR, "10.0.0.2"))
    assert (await seen("10.0.0.0/8", "10.0.0.1", *fields))[0] == "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "forwarded", "scheme"),
    [
        ("10.0.0.1", "https", "https"),
        ("10.0.0.1", "HTTPS", "https"),
        ("10.0.0.1", "gopher", "http"),
        ("192.0.2.1", "https", "http"),
    ],
)
async def test_scheme_counts_from_trusted_peers_only(peer: str, forwarded: str, scheme: str) -> None:
    assert (await seen("10.0.0.0/8", peer, (PROTO, forwarded)))[1] == scheme
