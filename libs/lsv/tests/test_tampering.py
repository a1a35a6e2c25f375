"""Whatever is changed in a pack, both readers refuse it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsv import ContentKey, header, layout, records
from lsv.errors import (
    HeaderAuthenticationError,
    LsvError,
    NotAPackError,
    RecordAuthenticationError,
    TrailingDataError,
    TruncatedPackError,
    WrongKeyError,
    WrongPackError,
)
from lsv.keys import PackKeys
from lsv.layout import PackDescription
from lsv.tests import second_reader
from lsv.tests.packs import (
    CONTENT_ID,
    DESCRIPTION,
    INIT,
    KEY,
    PIECES,
    VERSION,
    BytesSource,
    Piece,
    make_pack,
    open_pack,
    read_all,
)

PACK = make_pack()
HEADER_BYTES = header.header_bytes(DESCRIPTION, 1 + len(PIECES))


def refused_by_both(data: bytes, error: type[LsvError] = LsvError) -> None:
    with pytest.raises(error):
        read_all(data)
    with pytest.raises(second_reader.RefusedError):
        second_reader.read(data, KEY.secret, KEY.id.bytes, CONTENT_ID.bytes, VERSION)


def spliced(data: bytes, index: int, record: bytes) -> bytes:
    """Return a pack with a record of the same length replaced."""
    at = open_pack(data).header.offsets[index]
    return data[:at] + record + data[at + len(record) :]


def record_of(data: bytes, index: int, version: int = VERSION) -> bytes:
    head = open_pack(data, version=version).header
    return data[head.offsets[index] : head.offsets[index + 1]]


def test_small_pack_is_read_by_both() -> None:
    assert read_all(PACK) == [INIT, *(piece.plaintext for piece in PIECES)]
    film = second_reader.read(PACK, KEY.secret, KEY.id.bytes, CONTENT_ID.bytes, VERSION)
    assert [film.init, *(chunk.plaintext for chunk in film.chunks)] == read_all(PACK)


def test_every_flipped_bit_is_refused() -> None:
    for bit in range(len(PACK) * 8):
        changed = bytearray(PACK)
        changed[bit // 8] ^= 1 << bit % 8
        refused_by_both(bytes(changed))


def test_flipped_bit_of_record_leaves_other_records_readable() -> None:
    at = open_pack(PACK).header.offsets[2]
    changed = PACK[:at] + bytes([PACK[at] ^ 1]) + PACK[at + 1 :]
    reader = open_pack(changed)
    assert reader.read(1) == PIECES[0].plaintext
    with pytest.raises(RecordAuthenticationError) as caught:
        reader.read(2)
    assert caught.value.index == 2
    assert reader.read(3) == PIECES[2].plaintext


def test_truncated_pack_is_refused_at_every_length() -> None:
    for length in range(len(PACK)):
        refused_by_both(PACK[:length], TruncatedPackError)


def test_pack_that_shrinks_while_open_is_refused() -> None:
    source = BytesSource(PACK)
    reader = open_pack(PACK)
    reader._source = source
    source.data = PACK[:-1]
    with pytest.raises(TruncatedPackError):
        reader.read(3)


def test_trailing_byte_is_refused() -> None:
    refused_by_both(PACK + b"\0", TrailingDataError)


def test_other_file_is_refused() -> None:
    refused_by_both(b"\0\0\0\x18ftypisom" + PACK, NotAPackError)


def test_swapped_chunks_are_refused() -> None:
    first, second = record_of(PACK, 1), record_of(PACK, 2)
    assert len(first) == len(second)
    refused_by_both(spliced(spliced(PACK, 1, second), 2, first), RecordAuthenticationError)


def test_swapped_index_entries_are_refused() -> None:
    at = HEADER_BYTES - 32 - 8 * 4
    first, second = PACK[at + 8 : at + 16], PACK[at + 16 : at + 24]
    refused_by_both(PACK[: at + 8] + second + first + PACK[at + 24 :], HeaderAuthenticationError)


def test_older_pack_is_refused_for_present_version() -> None:
    older = make_pack(description=replace(DESCRIPTION, content_version=VERSION - 1, pack_id=uuid4()))
    assert read_all(older, version=VERSION - 1) == read_all(PACK)
    refused_by_both(older, WrongPackError)


def test_pack_of_other_content_is_refused() -> None:
    refused_by_both(make_pack(description=replace(DESCRIPTION, content_id=uuid4())), WrongPackError)


@pytest.mark.parametrize("version", [VERSION, VERSION - 1])
def test_record_of_older_pack_is_refused(version: int) -> None:
    older = make_pack(description=replace(DESCRIPTION, content_version=version, pack_id=uuid4()))
    refused_by_both(spliced(PACK, 1, record_of(older, 1, version)), RecordAuthenticationError)


def test_header_of_older_pack_is_refused_over_records_of_present_one() -> None:
    older = make_pack(description=replace(DESCRIPTION, pack_id=uuid4()))
    refused_by_both(older[:HEADER_BYTES] + PACK[HEADER_BYTES:], RecordAuthenticationError)


def _other_content(description: PackDescription) -> PackDescription:
    return replace(description, content_id=uuid4())


def _other_version(description: PackDescription) -> PackDescription:
    return replace(description, content_version=VERSION + 1)


def _other_pack(description: PackDescription) -> PackDescription:
    return replace(description, pack_id=uuid4())


@pytest.mark.parametrize("change", [_other_content, _other_version, _other_pack])
def test_record_under_right_key_but_of_other_scope_is_refused(
    change: Callable[[PackDescription], PackDescription],
) -> None:
    keys = PackKeys(KEY, DESCRIPTION.pack_id)
    record = records.seal(PIECES[0].plaintext, index=1, nonce=bytes(12), description=change(DESCRIPTION), keys=keys)
    refused_by_both(spliced(PACK, 1, record), RecordAuthenticationError)


@pytest.mark.parametrize("index", [0, 2, 2**32 - 1])
def test_record_under_right_key_but_of_other_index_is_refused(index: int) -> None:
    keys = PackKeys(KEY, DESCRIPTION.pack_id)
    record = records.seal(PIECES[0].plaintext, index=index, nonce=bytes(12), description=DESCRIPTION, keys=keys)
    refused_by_both(spliced(PACK, 1, record), RecordAuthenticationError)


def test_record_without_label_of_scope_is_refused() -> None:
    keys = PackKeys(KEY, DESCRIPTION.pack_id)
    scope = layout.record_scope(DESCRIPTION, 1)
    for other in (b"", scope[8:], b"LSV2.REC" + scope[8:], scope + b"\0"):
        record = bytes(12) + keys.encrypt(bytes(12), PIECES[0].plaintext, other)
        refused_by_both(spliced(PACK, 1, record), RecordAuthenticationError)


def test_key_of_other_name_is_refused() -> None:
    with pytest.raises(WrongKeyError):
        open_pack(PACK, ContentKey(uuid4(), KEY.secret))


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32).filter(lambda secret: secret != KEY.secret))
def test_key_of_same_name_but_other_secret_is_refused(secret: bytes) -> None:
    with pytest.raises(HeaderAuthenticationError):
        open_pack(PACK, ContentKey(KEY.id, secret))


@settings(deadline=None)
@given(st.data())
def test_any_other_bytes_of_same_length_are_refused(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(PACK) - 1))
    end = data.draw(st.integers(start + 1, len(PACK)))
    other = data.draw(st.binary(min_size=end - start, max_size=end - start).filter(lambda raw: raw != PACK[start:end]))
    refused_by_both(PACK[:start] + other + PACK[end:])


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_foreign_bytes_raise_typed_errors_only(raw: bytes) -> None:
    refused_by_both(raw)
    refused_by_both(PACK[:16] + raw)


def test_same_key_makes_other_ciphertext_in_other_pack() -> None:
    # Same content key, nonces and plaintexts: the pack id alone makes the record key another one.
    other = make_pack(description=replace(DESCRIPTION, pack_id=uuid4()))
    assert record_of(other, 1)[:12] == record_of(PACK, 1)[:12]
    assert record_of(other, 1)[12:] != record_of(PACK, 1)[12:]


def test_pieces_may_be_equal_but_not_exchanged() -> None:
    data = make_pack((Piece(b"same"), Piece(b"same")))
    refused_by_both(spliced(data, 2, record_of(data, 1)), RecordAuthenticationError)
