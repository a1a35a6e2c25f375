"""Server-side request forgery: which machines are never asked, however they are named."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.origins import Guard, OriginBlockedError, OriginClient, OriginError, OriginInterruptedError, RemoteFile, parse
from kit.origins.guard import Address, Resolver, is_public
from kit.origins.references import Url
from kit.testing.origin import Origin

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:0:0:0:0:0:f5ff:fffe",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
]
PUBLIC = ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_address_is_as_public_in_each_of_its_forms(address: IPv4Address) -> None:
    for prefix in (0xFFFF << 32, int(IPv6Address("64:ff9b::"))):
        assert is_public(IPv6Address(prefix | int(address))) is is_public(address)
    assert is_public(IPv6Address((0x2002 << 112) | (int(address) << 80))) is is_public(address)


def test_permits_what_the_operator_lists() -> None:
    guard = Guard("10.1.0.0/16, origin.lan, 192.168.7.7, fd00::/8")
    assert guard.permits("any", ip_address("10.1.255.1"))
    assert guard.permits("any", ip_address("::ffff:10.1.255.1"))
    assert guard.permits("any", ip_address("192.168.7.7"))
    assert guard.permits("any", ip_address("fd00::1"))
    assert guard.permits("origin.lan", ip_address("172.16.0.1"))
    assert not guard.permits("other.lan", ip_address("172.16.0.1"))
    assert not guard.permits("any", ip_address("10.2.0.1"))
    assert not guard.permits("any", ip_address("192.168.7.8"))


def test_permits_listed_ports_only() -> None:
    Guard().check_port(443)
    with pytest.raises(OriginBlockedError):
        Guard().check_port(22)
    Guard("", "*").check_port(22)
    Guard("", "8080, 9000").check_port(9000)


@pytest.mark.parametrize(
    ("allow", "ports"), [("10.0.0.0/33", "80"), ("10.0.0.1/8", "80"), ("", "http"), ("", "0"), ("1.2.3", "80")]
)
def test_refuses_malformed_settings(allow: str, ports: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Guard(allow, ports)


class Names:
    """A DNS whose answers change with each question, as an attacker's do."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[Address]:
        self.asked.append(host)
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [ip_address(address) for address in found]


async def opened(client: OriginClient, text: str) -> RemoteFile:
    url = parse(text)
    assert isinstance(url, Url)
    try:
        return await RemoteFile.open(partial(client.get, url))
    finally:
        await client.close()


@pytest.mark.parametrize("address", PRIVATE)
async def test_refuses_a_name_with_a_private_address(address: str) -> None:
    names = Names([address])
    with pytest.raises(OriginBlockedError):
        await opened(OriginClient(Guard("", "*"), 1, names), "http://films.example/a.mp4")
    assert names.asked == ["films.example"]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{}/a", "http://[::1]:{}/a", "http://[::ffff:127.0.0.1]:{}/a", "http://localhost:{}/a"]
)
async def test_refuses_the_loopback_in_any_spelling(origin: Origin, url: str) -> None:
    with pytest.raises(OriginBlockedError):
        await opened(OriginClient(Guard("", "*"), 1), url.format(origin.port))
    assert not origin.connections


async def test_dns_rebinding_changes_nothing(origin: Origin) -> None:
    """The checked address is the one that is connected to: the name is not resolved a second time."""
    origin.files["/a"] = b"film"
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    file = await opened(OriginClient(Guard("127.0.0.1", "*"), 1, names), f"http://films.example:{origin.port}/a")
    assert names.asked == ["films.example"]
    assert file.info.size == 4
    # The server saw the name, not the address.
    assert origin.asked[0].fields["host"] == f"films.example:{origin.port}"


async def test_of_several_addresses_only_permitted_ones_are_tried(origin: Origin) -> None:
    origin.files["/a"] = b"film"
    names = Names(["10.0.0.1", "127.0.0.1", "::1"])
    await opened(OriginClient(Guard("127.0.0.1", "*"), 1, names), f"http://films.example:{origin.port}/a")
    assert origin.connections == 1


async def test_checks_each_new_connection(origin: Origin) -> None:
    origin.files["/a"] = b"film"
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    client = OriginClient(Guard("127.0.0.1", "*"), 1, names)
    url = parse(f"http://films.example:{origin.port}/a")
    assert isinstance(url, Url)
    file = await RemoteFile.open(partial(client.get, url))
    await origin.stop()
    with pytest.raises(OriginBlockedError):
        async for _ in file.blocks(0, 4):
            pass
    await client.close()


@pytest.mark.parametrize(
    "target",
    [
        "http://10.0.0.1/a",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:10.0.0.1]/",
        "http://private.example/a",
        "ftp://films.example/a",
        "http://user:password@films.example/a",
        "//0x7f.1/",
        "file:///etc/passwd",
    ],
)
async def test_refuses_redirects_to_forbidden_addresses(origin: Origin, target: str) -> None:
    async def resolve(host: str, port: int) -> list[Address]:
        if host == "films.example":
            return [ip_address("127.0.0.1")]
        return await Names(["192.168.0.1"] if host == "private.example" else [host])(host, port)

    origin.redirects["/a"] = target
    with pytest.raises(OriginBlockedError) as refused:
        await opened(OriginClient(Guard("127.0.0.1", "*"), 1, resolve), f"http://films.example:{origin.port}/a")
    assert "password" not in str(refused.value)
    assert len(origin.asked) == 1


async def test_refuses_a_port_that_is_not_listed(origin: Origin) -> None:
    with pytest.raises(OriginBlockedError):
        await opened(OriginClient(Guard("127.0.0.1"), 1), origin.url("/a"))
    assert not origin.connections


async def test_the_system_resolves() -> None:
    resolver = Resolver()
    assert ip_address("127.0.0.1") in await resolver("localhost", 80)
    assert await resolver("192.0.2.1", 80) == [ip_address("192.0.2.1")]
    with pytest.raises(OriginInterruptedError):
        await resolver("absent.invalid", 80)
    resolver.close()


def test_refusals_are_errors_of_the_store() -> None:
    assert issubclass(OriginBlockedError, OriginError)
    assert issubclass(OriginError, OSError)
