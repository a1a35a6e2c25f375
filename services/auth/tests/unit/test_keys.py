"""Signing keys: kept private, shared by all replicas, and refused when they can't be used."""

from __future__ import annotations

import asyncio
import json
import re
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt.algorithms import RSAAlgorithm

from kit.errors import ApiError
from kit.settings import SettingsError
from kit.tokens import Caller, TokenVerifier
from services.auth import keys as keys_module
from services.auth.keys import SigningKeys
from services.auth.models import User


def a_user(corporation_id: str | None = None) -> User:
    now = datetime.now(UTC)
    return User(
        id="u1",
        login_id="alice",
        login_key="alice",
        display_name="Alice",
        password_hash="$2b$never",
        claims_version=1,
        role="member",
        status="active",
        corporation_id=corporation_id,
        created_at=now,
        updated_at=now,
        version=1,
    )


def verifier_of(keys: SigningKeys) -> TokenVerifier:
    async def fetch() -> str:
        return keys.jwks_json()

    return TokenVerifier(fetch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secrets" / "keys.json"


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    document = json.loads(path.read_text())
    change(document["keys"])
    path.write_text(json.dumps(document))


async def test_a_token_says_what_it_should(path: Path) -> None:
    keys = SigningKeys.load(path)
    token = keys.mint(a_user("c1"), "family", 900)
    assert await verifier_of(keys).verify(token) == Caller("u1", "member", "active", "c1", "family")
    assert (await verifier_of(keys).verify(keys.mint(a_user(), "f", 900))).corporation_id == ""


async def test_a_token_lives_as_long_as_it_is_told(path: Path) -> None:
    keys = SigningKeys.load(path)
    with pytest.raises(ApiError, match="AUTH_INVALID_TOKEN"):
        await verifier_of(keys).verify(keys.mint(a_user(), "f", -1))


def test_a_key_file_is_made_once_and_for_its_owner_only(path: Path) -> None:
    keys = SigningKeys.load(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SigningKeys.load(path).jwks() == keys.jwks()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_of_many_starts_at_once_one_makes_the_keys(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finds no file, like replicas that share a volume; in containers they even have the same process id."""
    create = keys_module._create
    with monkeypatch.context() as patch, ThreadPoolExecutor(8) as threads:
        patch.setattr(Path, "exists", lambda _self: False)
        assert len(list(threads.map(create, [path] * 8))) == 8
        loaded = list(threads.map(lambda _: SigningKeys.load(path).jwks_json(), range(8)))
    assert len(set(loaded)) == 1
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_what_a_crash_left_behind_does_not_stop_the_next_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(_self: Path, missing_ok: bool = False) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):  # noqa: PT012 - the error must pass through the block
        patch.setattr(Path, "unlink", killed)
        SigningKeys.load(path)
    path.unlink()
    assert SigningKeys.load(path).jwks()["keys"]


def test_nothing_private_is_published(path: Path) -> None:
    SigningKeys.load(path)
    rewrite(path, lambda keys: keys[0].update(note="written by hand", k="c2VjcmV0"))
    (public,) = SigningKeys.load(path).jwks()["keys"]
    assert set(public) == {"kty", "crv", "alg", "use", "kid", "x"}
    private = json.loads(path.read_text())["keys"][0]["d"]
    assert private not in SigningKeys.load(path).jwks_json()


async def test_after_a_rotation_the_first_key_signs_and_all_verify(path: Path, tmp_path: Path) -> None:
    old = SigningKeys.load(path)
    token = old.mint(a_user(), "f", 900)
    SigningKeys.load(tmp_path / "new.json")
    new_key = json.loads((tmp_path / "new.json").read_text())["keys"][0]
    rewrite(path, lambda keys: keys.insert(0, new_key))
    rotated = SigningKeys.load(path)
    assert [key["kid"] for key in rotated.jwks()["keys"]] == [new_key["kid"], old.jwks()["keys"][0]["kid"]]
    verifier = verifier_of(rotated)
    assert (await verifier.verify(token)).user_id == "u1"
    assert (await verifier.verify(rotated.mint(a_user(), "f", 900))).user_id == "u1"
    with pytest.raises(ApiError, match="AUTH_INVALID_TOKEN"):
        await verifier_of(old).verify(rotated.mint(a_user(), "f", 900))


RSA = json.loads(RSAAlgorithm.to_jwk(generate_private_key(65537, 2048)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"keys": []}',
        b'{"keys": {}}',
        b'{"keys": null}',
        b'{"keys": ["x"]}',
        b'{"keys": [{}]}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "1"}]}',
        json.dumps({"keys": [{**RSA, "kid": "1"}]}).encode(),
    ],
)
def test_a_file_that_is_no_key_set_stops_the_start_with_a_sentence(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"(?s)^MARQUEE_SIGNING_KEY_FILE can't be used: keys\.json .*\.$"):
        SigningKeys.load(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "change",
    [
        lambda keys: keys[0].pop("d"),
        lambda keys: keys[0].pop("kid"),
        lambda keys: keys[0].update(kid=""),
        lambda keys: keys[0].update(d="AAAA"),
        lambda keys: keys[0].update(crv="X25519"),
        lambda keys: keys[0].update(x="A" * 43),
        lambda keys: keys.append({"kty": "OKP"}),
        lambda keys: keys.append({**keys[0], "d": "!", "kid": "2"}),
        lambda keys: keys.append({name: value for name, value in keys[0].items() if name != "d"}),
    ],
)
def test_a_key_that_can_not_sign_stops_the_start(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    SigningKeys.load(path)
    private = json.loads(path.read_text())["keys"][0]["d"]
    rewrite(path, change)
    with pytest.raises(SettingsError) as caught:
        SigningKeys.load(path)
    assert private not in str(caught.value)


def test_a_file_that_can_not_be_had_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^MARQUEE_SIGNING_KEY_FILE can't be used"):
        SigningKeys.load(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"^MARQUEE_SIGNING_KEY_FILE can't be used"):
        SigningKeys.load(tmp_path / "file" / "keys.json")


def test_a_successor_is_always_the_same_and_needs_the_keys(path: Path, tmp_path: Path) -> None:
    keys, others = SigningKeys.load(path), SigningKeys.load(tmp_path / "others.json")
    (successor,) = keys.successors("token")
    assert [successor] == SigningKeys.load(path).successors("token")
    assert [successor] != keys.successors("Token")
    assert [successor] != others.successors("token")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", successor)


def test_every_token_is_one_of_its_kind(path: Path) -> None:
    keys = SigningKeys.load(path)
    started = time.time()
    tokens = {keys.mint(a_user(), "f", 900) for _ in range(20)}
    assert len(tokens) == 20
    assert time.time() - started < 5
    assert asyncio.run(verifier_of(keys).verify(tokens.pop())).user_id == "u1"
