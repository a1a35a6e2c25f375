"""Password hashes."""

from __future__ import annotations

import asyncio
import threading
import unicodedata
from collections.abc import Iterator

import bcrypt
import pytest

from services.auth.credentials import passwords
from services.auth.credentials.passwords import PasswordHasher


@pytest.fixture
def hasher() -> Iterator[PasswordHasher]:
    hasher = PasswordHasher(4, "pepper")
    yield hasher
    hasher.close()


@pytest.mark.parametrize("password", ["correct horse", "비밀번호", " spaces ", "\0nul", "x" * 256, "😀" * 64])
async def test_password_matches_only_its_own_hash(hasher: PasswordHasher, password: str) -> None:
    kept = await hasher.hash(password)
    assert await hasher.verify(password, kept)
    assert not await hasher.verify(password + "x", kept)
    assert not await hasher.verify(password[:-1], kept)
    assert not await hasher.verify("", kept)


@pytest.mark.parametrize("common", ["x" * 72, "가" * 24, "가" * 200])
async def test_bytes_after_72_count(hasher: PasswordHasher, common: str) -> None:
    kept = await hasher.hash(common + "a")
    assert not await hasher.verify(common + "b", kept)
    assert not await hasher.verify(common, kept)


async def test_bytes_after_nul_count(hasher: PasswordHasher) -> None:
    assert not await hasher.verify("same\0b", await hasher.hash("same\0a"))


async def test_decomposed_password_matches(hasher: PasswordHasher) -> None:
    kept = await hasher.hash("비밀번호é")
    assert await hasher.verify(unicodedata.normalize("NFD", "비밀번호é"), kept)


async def test_hashes_are_salted_and_have_configured_cost(hasher: PasswordHasher) -> None:
    one, two = await hasher.hash("same"), await hasher.hash("same")
    assert one != two
    assert one.startswith("$2b$04$")
    assert len(one) <= 100


async def test_hash_does_not_match_without_pepper(hasher: PasswordHasher) -> None:
    kept = await hasher.hash("correct horse")
    for pepper in ("", "Pepper"):
        other = PasswordHasher(4, pepper)
        assert not await other.verify("correct horse", kept)
        other.close()


@pytest.mark.parametrize("password", ["no such account", "anything"])
async def test_unknown_account_takes_same_work(hasher: PasswordHasher, checked: list[bytes], password: str) -> None:
    kept = await hasher.hash("correct horse")
    assert not await hasher.verify(password, kept)
    assert not await hasher.verify(password, None)
    assert len(checked) == 2
    with_account, without = (target.decode().split("$")[1:3] for target in checked)
    assert with_account == without == ["2b", "04"]


async def test_cheaper_hash_takes_same_work_to_refuse(checked: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    older, newer = PasswordHasher(4, ""), PasswordHasher(7, "")
    kept = {cost: await hasher.hash("right") for cost, hasher in ((4, older), (7, newer))}
    costs: list[int] = []
    hashpw = bcrypt.hashpw

    def note(password: bytes, salt: bytes) -> bytes:
        costs.append(int(salt.split(b"$")[2]))
        return hashpw(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", note)
    for kept_cost in kept.values():
        assert not await newer.verify("wrong", kept_cost)
    assert not await newer.verify("wrong", None)
    assert 2**4 + sum(2**cost for cost in costs) == 2**7
    assert len(checked) == 3
    costs.clear()
    assert await newer.verify("right", kept[4])
    assert costs == []
    assert (newer.is_cheap(kept[4]), newer.is_cheap(kept[7]), older.is_cheap(kept[7])) == (True, False, False)
    older.close()
    newer.close()


async def test_hashing_does_not_block_event_loop(hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    go_on = threading.Event()

    def slow(_password: bytes, _salt: bytes) -> bytes:
        threads.append(threading.current_thread().name)
        assert go_on.wait(60)
        return b"hash"

    def slow_check(password: bytes, kept: bytes) -> bool:
        return bool(slow(password, kept))

    monkeypatch.setattr(bcrypt, "hashpw", slow)
    monkeypatch.setattr(bcrypt, "checkpw", slow_check)
    work = asyncio.gather(hasher.hash("x"), hasher.verify("x", "hash"))
    await asyncio.sleep(0)
    go_on.set()  # reached only because the event loop was not held up
    assert [*await work] == ["hash", True]
    assert all(name.startswith("bcrypt") for name in threads)


@pytest.mark.parametrize(
    ("processors", "workers", "threads"), [(1, 1, 1), (2, 1, 1), (8, 1, 7), (8, 2, 3), (8, 7, 1), (2, 4, 1)]
)
async def test_hashing_leaves_a_processor_to_requests(
    monkeypatch: pytest.MonkeyPatch, processors: int, workers: int, threads: int
) -> None:
    monkeypatch.setattr(passwords, "available_processors", lambda: processors)
    hasher, running, most = PasswordHasher(4, "", workers), set[int](), list[int]()

    def check(_password: bytes, _stored: bytes) -> bool:
        running.add(threading.get_ident())
        most.append(len(running))
        return True

    monkeypatch.setattr(bcrypt, "checkpw", check)
    stored = await hasher.hash("secret")
    await asyncio.gather(*(hasher.verify("secret", stored) for _ in range(50)))
    assert max(most) <= threads
    hasher.close()
