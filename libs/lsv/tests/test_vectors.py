"""The vectors in the repository: writer, reader and second reader agree about every byte."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from lsv import ContentKey, MasterKeys, PackDescription, PackReader, WrapAlgorithm, header, layout
from lsv import keys as lsv_keys
from lsv.errors import LsvError
from lsv.tests import forge, second_reader
from lsv.tests.packs import BytesSource, Piece, make_pack

if TYPE_CHECKING:
    from lsv.layout import Entry


def load(name: str) -> Any:
    return json.loads((forge.VECTORS / name).read_text())


PACK = load("pack-v1.json")
WRAPPED = load("wrapped-keys-v1.json")
REFUSED = load("refused-v1.json")


def raw(vectors: Any, name: str) -> bytes:
    return bytes.fromhex(vectors[name])


def key_of(vectors: Any) -> ContentKey:
    return ContentKey(UUID(vectors["content_key_id"]), raw(vectors, "content_key"))


def description() -> PackDescription:
    return PackDescription(
        content_id=UUID(PACK["content_id"]),
        content_version=PACK["content_version"],
        pack_id=UUID(PACK["pack_id"]),
        key_id=UUID(PACK["content_key_id"]),
        mime_type=PACK["mime_type"],
        timescale=PACK["timescale"],
    )


def pieces() -> list[Piece]:
    return [
        Piece(raw(chunk, "plaintext"), chunk["duration"], chunk["begins_with_key_frame"]) for chunk in PACK["chunks"]
    ]


def test_writer_gives_pack_of_vector() -> None:
    prefix = raw(PACK, "nonce_prefix")
    pack = make_pack(pieces(), description(), key_of(PACK), raw(PACK, "init"), random=lambda count: prefix[:count])
    assert pack.hex() == PACK["pack"]


def test_reader_gives_plaintexts_of_vector() -> None:
    reader = PackReader.open(
        BytesSource(raw(PACK, "pack")),
        key_of(PACK),
        content_id=UUID(PACK["content_id"]),
        content_version=PACK["content_version"],
    )
    assert reader.header.description == description()
    assert [reader.read(index) for index in range(4)] == [raw(PACK, "init"), *(each.plaintext for each in pieces())]


def test_second_reader_gives_plaintexts_of_vector() -> None:
    film = second_reader.read(
        raw(PACK, "pack"),
        raw(PACK, "content_key"),
        raw(PACK, "content_key_id"),
        raw(PACK, "content_id"),
        PACK["content_version"],
    )
    assert (film.mime_type, film.timescale, film.init) == (PACK["mime_type"], PACK["timescale"], raw(PACK, "init"))
    assert [Piece(each.plaintext, each.duration, each.is_key) for each in film.chunks] == pieces()
    assert [chunk.start for chunk in film.chunks] == [chunk["start"] for chunk in PACK["chunks"]]


def test_intermediate_values_are_those_of_vector() -> None:
    pack, head = raw(PACK, "pack"), raw(PACK, "header")
    assert pack.startswith(head)
    for name, info in (("header_key", b"LSV1 header key"), ("record_key", b"LSV1 record key")):
        derived = lsv_keys.derive(raw(PACK, "content_key"), salt=raw(PACK, "pack_id"), info=info)
        assert (
            derived == raw(PACK, name) == second_reader.hkdf(raw(PACK, "content_key"), raw(PACK, "pack_id"), info, 32)
        )
    assert hmac.digest(raw(PACK, "header_key"), head[:-32], hashlib.sha256) == head[-32:]
    scopes = [layout.record_scope(description(), index).hex() for index in range(4)]
    assert scopes == PACK["associated_data"]


@pytest.mark.parametrize("algorithm", list(WrapAlgorithm), ids=lambda each: each.name)
def test_wrapped_key_of_vector_unwraps(algorithm: WrapAlgorithm) -> None:
    wrapped = raw(WRAPPED, algorithm.name.lower())
    ring = MasterKeys(raw(WRAPPED, "master_key"))
    assert ring.current_id == raw(WRAPPED, "master_key_id")
    assert ring.unwrap(wrapped, key_id=UUID(WRAPPED["content_key_id"])) == key_of(WRAPPED)
    unwrapped = second_reader.unwrap(wrapped, raw(WRAPPED, "master_key"), raw(WRAPPED, "content_key_id"))
    assert unwrapped == raw(WRAPPED, "content_key")


def test_aes_kw_has_no_randomness() -> None:
    ring = MasterKeys(raw(WRAPPED, "master_key"))
    assert ring.wrap(key_of(WRAPPED), WrapAlgorithm.AES_KW) == raw(WRAPPED, "aes_kw")


def test_key_wrap_of_second_reader_follows_rfc_3394() -> None:
    # Section 4.6: 256 bits of key data under a key of 256 bits.
    kek = bytes(range(32))
    wrapped = bytes.fromhex("28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21")
    secret = bytes.fromhex("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F")
    assert second_reader.key_unwrap(kek, wrapped) == secret


def read_both(data: bytes) -> tuple[list[bytes], list[bytes]]:
    """Read with both readers; an empty list stands for a refusal."""
    try:
        source = BytesSource(data)
        version = REFUSED["content_version"]
        reader = PackReader.open(
            source, key_of(REFUSED), content_id=UUID(REFUSED["content_id"]), content_version=version
        )
        first = [reader.read(index) for index in range(len(reader.header.entries))]
    except LsvError:
        first = []
    try:
        film = second_reader.read(data, forge.CONTENT_KEY, forge.KEY_ID, forge.CONTENT_ID, forge.CONTENT_VERSION)
        second = [film.init, *(chunk.plaintext for chunk in film.chunks)]
    except second_reader.RefusedError:
        second = []
    return first, second


@pytest.mark.parametrize("name", REFUSED["refused"])
def test_authentic_pack_that_breaks_rule_is_refused(name: str) -> None:
    assert read_both(raw(REFUSED["refused"], name)) == ([], [])


@pytest.mark.parametrize("name", REFUSED["accepted"])
def test_authentic_pack_within_rules_is_read(name: str) -> None:
    plaintexts = [b"init", b"first", b"second"]
    assert read_both(raw(REFUSED["accepted"], name)) == (plaintexts, plaintexts)


def test_refused_packs_are_up_to_date() -> None:
    assert forge.vectors() == REFUSED


def test_lengths_of_header_are_limited_before_it_is_read() -> None:
    for at, length in ((80, layout.MAX_PROPERTIES_BYTES + 1), (84, layout.MAX_INDEX_BYTES + 1)):
        data = bytearray(raw(PACK, "pack"))
        data[at : at + 4] = length.to_bytes(4, "big")
        source = BytesSource(bytes(data))
        with pytest.raises(LsvError, match="longer than allowed"):
            PackReader.open(source, key_of(PACK), content_id=UUID(int=0), content_version=0)
        assert source.reads == [(0, 88)]


def test_sums_of_index() -> None:
    entries: list[Entry] = [layout.Entry(0, 40, False)]
    entries += [layout.Entry(10, 100, key) for key in (True, False, False, True)]
    start = header.header_bytes(description(), 5)
    head = header.Header(description(), entries, start).check()
    assert list(head.offsets) == [start, start + 40, start + 140, start + 240, start + 340, start + 440]
    assert (head.pack_bytes, head.duration) == (start + 440, 40)
    times = {-5: 1, 0: 1, 9: 1, 10: 1, 29: 1, 30: 4, 39: 4, 40: 4, 10**9: 4}
    assert {time: head.record_at(time) for time in times} == times
