"""What a ticket says survives the way through a URL, and nothing that was not issued counts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kit.auth.tokens import Caller
from kit.errors import ApiError
from kit.ids import new_id
from services.stream.domain import AssetKind
from services.stream.sessions.tickets import MAX_DEVICE_CHARS, MAX_TICKET_CHARS, TICKET_SEC, Ticket, Tickets
from services.stream.tests.support import a_source

KEY = b"k" * 32
NOW = 1_700_000_000.0
ids = st.one_of(st.uuids().map(str), st.text(max_size=40))
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
URL_SAFE = frozenset(string.ascii_letters + string.digits + "-_.")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def tickets(key: bytes = KEY, clock: Clock | None = None) -> Tickets:
    return Tickets(key, clock or Clock())


@st.composite
def some_tickets(draw: st.DrawFn) -> Ticket:
    caller = Caller(draw(ids), draw(st.sampled_from(["admin", "member"])), "active", draw(ids), draw(ids))
    return Ticket(
        session_id=draw(ids),
        video_id=draw(ids),
        caller=caller,
        started_ms=draw(st.integers(0, 2**45)),
        source=draw(st.sampled_from(["ssd", "nas", "remote"])),
        device_name=draw(text)[:MAX_DEVICE_CHARS],
        expires_at=draw(st.integers(int(NOW) + 1, 2**40)),
        asset_id=draw(st.one_of(st.just(""), ids)),
    )


def a_ticket(**changed: object) -> Ticket:
    caller = Caller(new_id(), "member", "active", new_id(), "login")
    fields = {"session_id": new_id(), "video_id": new_id(), "caller": caller, "started_ms": 1, "source": "nas"}
    return Ticket(**fields | {"device_name": "TV", "expires_at": int(NOW + TICKET_SEC)} | changed)  # type: ignore[arg-type]


def code_of(given: str, keeper: Tickets | None = None) -> str:
    with pytest.raises(ApiError) as refused:
        (keeper or tickets()).verify(given)
    return refused.value.code


@given(some_tickets())
def test_what_is_issued_is_what_is_read(ticket: Ticket) -> None:
    issued = tickets().issue(ticket)
    assert set(issued) <= URL_SAFE
    another = tickets()
    assert another.get_cached(issued.encode()) is None
    assert another.verify(issued) == ticket
    assert another.get_cached(issued.encode()) == ticket
    assert code_of(issued, tickets(b"another key" * 3)) == "AUTH_INVALID_TOKEN"


@given(st.integers(0), st.characters(min_codepoint=32, max_codepoint=0x2FF))
def test_one_character_makes_it_another(position: int, char: str) -> None:
    issued = tickets().issue(a_ticket())
    position %= len(issued)
    changed = issued[:position] + char + issued[position + 1 :]
    if changed != issued:
        assert code_of(changed) == "AUTH_INVALID_TOKEN"


@given(st.text())
@example("." * 1000)
@example("a" * 10_000 + "." + "a" * 43)
@example("\udcff")
@example(f"{'e30'}.{'A' * 43}")
def test_anything_else_is_refused(given_text: str) -> None:
    assert code_of(given_text) == "AUTH_INVALID_TOKEN"


def test_the_last_character_of_a_signature_has_no_second_spelling() -> None:
    issued = tickets().issue(a_ticket())
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    same_bits = alphabet[alphabet.index(issued[-1]) ^ 1]
    decode = base64.urlsafe_b64decode
    signature = issued.partition(".")[2]
    assert decode(signature + "=") == decode(signature[:-1] + same_bits + "=")
    assert code_of(issued[:-1] + same_bits) == "AUTH_INVALID_TOKEN"


def test_a_signed_payload_of_another_release_is_no_fault() -> None:
    keeper = tickets()
    for payload in (b"{}", b"[1,2]", b"nonsense", b"[]" * 100):
        encoded = base64.urlsafe_b64encode(payload).rstrip(b"=")
        assert code_of((encoded + b"." + keeper._signature(encoded)).decode(), keeper) == "AUTH_INVALID_TOKEN"


def payload_of(issued: str) -> list[object]:
    text = issued.partition(".")[0]
    payload: list[object] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return payload


def signed(keeper: Tickets, payload: list[object]) -> str:
    encoded = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=")
    return (encoded + b"." + keeper._signature(encoded)).decode()


def test_opens_the_source_with_a_ticket_from_before_assets() -> None:
    keeper = tickets()
    source = a_source()
    before = payload_of(keeper.issue(a_ticket(video_id=source.video_id)))
    session, video, user, role, corporation, login, started_ms, expires_at, tier, device_name = before
    old = [session, video, user, role, corporation, login, started_ms, expires_at, tier, device_name]
    ticket = keeper.verify(signed(keeper, old))
    assert (ticket.asset_id, ticket.opens(source)) == ("", True)
    assert not ticket.opens(a_source())
    assert not ticket.opens(a_source(video_id=source.video_id, kind="pack"))


def test_a_ticket_of_a_source_has_the_ten_fields_that_releases_before_assets_read() -> None:
    assert len(payload_of(tickets().issue(a_ticket()))) == 10


def test_a_ticket_that_names_an_asset_opens_only_that_one() -> None:
    source = a_source()
    pack = a_source(video_id=source.video_id, asset_id=new_id(), kind="pack")
    keeper = tickets()
    issued = keeper.issue(a_ticket(video_id=source.video_id, asset_id=pack.asset_id))
    ticket = keeper.verify(issued)
    assert (ticket.opens(pack), ticket.opens(source)) == (True, False)
    of_source = a_ticket(video_id=source.video_id, asset_id=source.asset_id)
    assert (of_source.opens(pack), of_source.opens(source)) == (False, True)
    assert not a_ticket(video_id=new_id(), asset_id=source.asset_id).opens(source)
    assert source.kind == AssetKind.SOURCE


@pytest.mark.parametrize("rest", [[None], [""], [1], ["~a", "~b"]])
def test_refuses_a_claim_of_assets_that_it_does_not_know(rest: list[object]) -> None:
    keeper = tickets()
    assert code_of(signed(keeper, [*payload_of(keeper.issue(a_ticket())), *rest]), keeper) == "AUTH_INVALID_TOKEN"


def test_it_ends() -> None:
    clock = Clock()
    keeper = tickets(clock=clock)
    issued = keeper.issue(a_ticket(expires_at=keeper.expiry()))
    keeper.verify(issued)
    clock.now += TICKET_SEC - 1
    assert keeper.get_cached(issued.encode())
    clock.now += 1
    assert keeper.get_cached(issued.encode()) is None
    assert code_of(issued, keeper) == "AUTH_TOKEN_EXPIRED"


def test_ticket_that_is_longer_than_the_limit_is_refused_although_it_was_signed() -> None:
    keeper = tickets()
    long = keeper.issue(a_ticket(source="n" * MAX_TICKET_CHARS))
    assert len(long) > MAX_TICKET_CHARS
    assert code_of(long, keeper) == "AUTH_INVALID_TOKEN"


def test_ticket_carries_the_beginning_of_a_long_device_name() -> None:
    keeper = tickets()
    assert keeper.verify(keeper.issue(a_ticket(device_name="TV " * 50))).device_name == ("TV " * 50)[:MAX_DEVICE_CHARS]


def test_signature_that_the_key_made_for_another_purpose_is_refused() -> None:
    keeper = tickets()
    payload = keeper.issue(a_ticket()).partition(".")[0]
    plain = base64.urlsafe_b64encode(hmac.digest(KEY, payload.encode(), hashlib.sha256)).rstrip(b"=").decode()
    assert code_of(f"{payload}.{plain}", keeper) == "AUTH_INVALID_TOKEN"


def test_an_ended_login_ends_its_tickets_known_or_not() -> None:
    keeper = tickets()
    known, unknown = (keeper.issue(a_ticket()) for _ in range(2))
    keeper.verify(known)
    other = keeper.issue(a_ticket(caller=Caller("ann", "member", "active", "", "")))
    keeper.revoke("login")
    keeper.revoke("")
    assert keeper.get_cached(known.encode()) is None
    assert {code_of(each, keeper) for each in (known, unknown)} == {"AUTH_INVALID_TOKEN"}
    assert keeper.verify(other).caller.user_id == "ann"


def test_an_account_that_changed_needs_new_tickets() -> None:
    clock = Clock()
    keeper = tickets(clock=clock)
    ann = Caller("ann", "member", "active", "acme", "")
    before = keeper.issue(a_ticket(caller=ann, expires_at=keeper.expiry()))
    keeper.verify(before)
    clock.now += 10
    keeper.revoke_account("ann", 5)
    assert keeper.get_cached(before.encode()) is None
    assert code_of(before, keeper) == "AUTH_INVALID_TOKEN"
    after = keeper.issue(a_ticket(caller=ann, expires_at=keeper.expiry()))
    clock.now += 10
    # Auth tells of a change again and again.
    keeper.revoke_account("ann", 5)
    assert keeper.verify(after).caller == ann


def test_it_fits_into_a_url_that_servers_remember() -> None:
    """`zerocopy` keeps what it learnt of a URL up to 512 bytes."""
    everything = a_ticket(
        device_name="거" * MAX_DEVICE_CHARS, caller=Caller(new_id(), "member", "active", new_id(), new_id())
    )
    assert len(tickets().issue(everything)) < 400
    assert len(tickets().issue(a_ticket())) < 330


def test_a_short_key_is_none() -> None:
    with pytest.raises(ValueError, match="32"):
        Tickets(b"short")
