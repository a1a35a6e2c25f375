"""Signing keys: kept private, shared by all replicas, and refused when they can't be used."""

from __future__ import annotations

import asyncio
import json
import re
import stat
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from kit.auth.tokens import Caller, TokenVerifier
from kit.errors import ApiError
from kit.settings import SettingsError
from services.auth.credentials import keys as keys_module
from services.auth.credentials.keys import KEEP_SEC, LEAD_SEC, MAX_KEYS, SigningKeys, rotate
from services.auth.models import User
from services.auth.rotate import main as command

LONGEST_LIFE_SEC = 86_400
"""Of an access token: the setting's upper bound."""


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


async def test_token_has_claims_of_account(path: Path) -> None:
    keys = SigningKeys.load(path)
    token = keys.mint(a_user("c1"), "family", 900)
    assert await verifier_of(keys).verify(token) == Caller("u1", "member", "active", "c1", "family")
    assert (await verifier_of(keys).verify(keys.mint(a_user(), "f", 900))).corporation_id == ""


async def test_token_expires_after_its_ttl(path: Path) -> None:
    keys = SigningKeys.load(path)
    with pytest.raises(ApiError, match="AUTH_TOKEN_EXPIRED"):
        await verifier_of(keys).verify(keys.mint(a_user(), "f", -1))


def test_key_file_is_created_once_and_private(path: Path) -> None:
    keys = SigningKeys.load(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SigningKeys.load(path).jwks() == keys.jwks()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_concurrent_starts_create_one_key_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finds no file, like replicas that share a volume; in containers they even have the same process id."""
    create = keys_module._create
    with monkeypatch.context() as patch, ThreadPoolExecutor(8) as threads:
        patch.setattr(Path, "exists", lambda _self: False)
        assert len(list(threads.map(create, [path] * 8))) == 8
        loaded = list(threads.map(lambda _: SigningKeys.load(path).jwks_json(), range(8)))
    assert len(set(loaded)) == 1
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_leftover_of_crash_does_not_stop_next_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(_self: Path, missing_ok: bool = False) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):  # noqa: PT012 - the error must pass through the block
        patch.setattr(Path, "unlink", killed)
        SigningKeys.load(path)
    path.unlink()
    assert SigningKeys.load(path).jwks()["keys"]


def test_private_keys_are_not_published(path: Path) -> None:
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
def test_invalid_key_file_stops_the_start_with_a_message(path: Path, content: bytes) -> None:
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
def test_unusable_key_stops_the_start(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    SigningKeys.load(path)
    private = json.loads(path.read_text())["keys"][0]["d"]
    rewrite(path, change)
    with pytest.raises(SettingsError) as caught:
        SigningKeys.load(path)
    assert private not in str(caught.value)


def test_unreadable_key_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^MARQUEE_SIGNING_KEY_FILE can't be used"):
        SigningKeys.load(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"^MARQUEE_SIGNING_KEY_FILE can't be used"):
        SigningKeys.load(tmp_path / "file" / "keys.json")


def test_successor_is_deterministic_and_needs_the_keys(path: Path, tmp_path: Path) -> None:
    keys, others = SigningKeys.load(path), SigningKeys.load(tmp_path / "others.json")
    (successor,) = keys.successors("token")
    assert [successor] == SigningKeys.load(path).successors("token")
    assert [successor] != keys.successors("Token")
    assert [successor] != others.successors("token")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", successor)


class TestRotation:
    """What `marquee keys rotate` does to a key file."""

    @pytest.fixture
    def now(self, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
        """The time as keys see it, in seconds."""
        now = SimpleNamespace(sec=1_000_000)
        monkeypatch.setattr(keys_module, "time", SimpleNamespace(time=lambda: now.sec))
        return now

    def kids(self, path: Path) -> list[str]:
        return [key["kid"] for key in SigningKeys.load(path).jwks()["keys"]]

    def signer(self, path: Path) -> str:
        return str(jwt.get_unverified_header(SigningKeys.load(path).mint(a_user(), "f", 900))["kid"])

    def test_a_new_key_is_published_before_it_signs(self, path: Path, now: SimpleNamespace) -> None:
        (first,) = self.kids(path)
        done = rotate(path)
        assert (done.signs_from, done.removed) == (now.sec + LEAD_SEC, [])
        assert self.kids(path) == [done.kid, first]
        assert self.signer(path) == first
        now.sec += LEAD_SEC - 1
        assert self.signer(path) == first
        now.sec += 1
        assert self.signer(path) == done.kid

    def test_old_key_stays_while_its_tokens_can_live(self, path: Path, now: SimpleNamespace) -> None:
        (first,) = self.kids(path)
        second = rotate(path)
        now.sec = second.signs_from + KEEP_SEC - 1
        third = rotate(path)
        assert third.removed == []
        now.sec = second.signs_from + KEEP_SEC
        fourth = rotate(path)
        assert fourth.removed == [first]
        assert self.kids(path) == [fourth.kid, third.kid, second.kid]

    @given(waits=st.lists(st.integers(0, 2 * KEEP_SEC), max_size=12))
    @settings(suppress_health_check=list(HealthCheck), deadline=None)
    def test_valid_tokens_verify_through_any_rotations(self, now: SimpleNamespace, waits: list[int]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "keys.json"
            SigningKeys.load(path)
            minted: list[tuple[str, int]] = []
            for wait in waits:
                minted.append((self.signer(path), now.sec))
                now.sec += wait
                minted.append((self.signer(path), now.sec))
                rotate(path)
                living = {kid for kid, moment in minted if now.sec - moment < LONGEST_LIFE_SEC}
                assert living <= set(self.kids(path))

    def test_compromised_keys_are_removed(self, path: Path, now: SimpleNamespace) -> None:
        (first,) = self.kids(path)
        second = rotate(path).kid
        done = rotate(path, compromised=True)
        assert sorted(done.removed) == sorted([first, second])
        assert self.kids(path) == [done.kid] == [self.signer(path)]
        assert done.signs_from == now.sec

    def test_concurrent_rotations_both_add_a_key(self, path: Path) -> None:
        SigningKeys.load(path)
        with ThreadPoolExecutor(8) as threads:
            done = list(threads.map(lambda _: rotate(path), range(8)))
        assert set(self.kids(path)) > {each.kid for each in done}
        assert [each.name for each in path.parent.iterdir()] == [path.name]

    def test_rotation_keeps_owner_and_mode(self, path: Path) -> None:
        SigningKeys.load(path)
        path.chmod(0o640)
        rotate(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640

    @pytest.mark.parametrize("content", [None, "", "{}", '{"keys": []}'])
    def test_unusable_file_is_left_unchanged(self, path: Path, content: str | None) -> None:
        path.parent.mkdir()
        if content is not None:
            path.write_text(content)
        with pytest.raises(SettingsError, match=r"can't be rotated"):
            rotate(path)
        assert content is None or path.read_text() == content
        assert len(list(path.parent.iterdir())) == (content is not None)

    def test_too_many_keys_are_refused(self, path: Path) -> None:
        SigningKeys.load(path)
        for _ in range(MAX_KEYS - 1):
            rotate(path)
        with pytest.raises(SettingsError, match=f"{MAX_KEYS} keys"):
            rotate(path)

    def test_command_prints_new_and_removed_keys(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        SigningKeys.load(path)
        monkeypatch.setenv("MARQUEE_SIGNING_KEY_FILE", str(path))
        command([])
        kid = self.kids(path)[0]
        assert capsys.readouterr().out.startswith(f"Key {kid} signs from ")
        command(["--file", str(path), "--compromised"])
        assert capsys.readouterr().out.count(" was removed.") == 2
        with pytest.raises(SystemExit, match="2"):
            command(["--file", str(path.parent / "nothing.json")])
        assert "can't be rotated" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        lambda keys: keys[0].update(nbf="soon"),
        lambda keys: keys[0].update(nbf=1.5),
        lambda keys: keys[0].update(kid="k" * 65),
        lambda keys: keys[0].update(kid=7),
        lambda keys: keys.append(dict(keys[0])),
    ],
)
def test_duplicate_key_ids_stop_the_start(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    SigningKeys.load(path)
    rewrite(path, change)
    with pytest.raises(SettingsError):
        SigningKeys.load(path)


def test_every_token_is_unique(path: Path) -> None:
    keys = SigningKeys.load(path)
    started = time.time()
    tokens = {keys.mint(a_user(), "f", 900) for _ in range(20)}
    assert len(tokens) == 20
    assert time.time() - started < 5
    assert asyncio.run(verifier_of(keys).verify(tokens.pop())).user_id == "u1"
