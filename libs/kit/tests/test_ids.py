"""Identifiers."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.ids import created_at, derived_id, is_id, new_id

NAMES = st.text(st.characters(exclude_characters="\x1f", exclude_categories=["Cs"]))


def test_new_ids_differ_and_sort_by_age() -> None:
    ids = [new_id() for _ in range(10_000)]
    assert len(set(ids)) == len(ids)
    assert sorted(ids) == ids
    assert all(uuid.UUID(each).version == 7 for each in ids)


def test_new_id_says_when_it_was_made() -> None:
    assert abs(created_at(new_id()) - datetime.now(UTC)) < timedelta(minutes=1)
    assert created_at("017f22e2-79b0-7cc3-98c4-dc0c0c07398f") == datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)


def test_derived_ids_stay_the_same_across_releases() -> None:
    assert derived_id("video", "thumbnail") == "89178509-5738-5440-a942-ff2b5da14678"


@given(one=st.lists(NAMES, min_size=1), two=st.lists(NAMES, min_size=1))
def test_derived_ids_are_equal_exactly_when_their_parts_are(one: list[str], two: list[str]) -> None:
    assert (derived_id(*one) == derived_id(*two)) == (one == two)
    assert is_id(derived_id(*one))


@given(st.uuids())
def test_a_uuid_is_an_id_in_its_canonical_form_only(value: uuid.UUID) -> None:
    text = str(value)
    assert is_id(text)
    assert not is_id(value.hex)
    assert not is_id(f"{{{text}}}")
    assert not is_id(value.urn)
    assert not is_id(text.upper()) or text.upper() == text


@given(st.text())
def test_no_text_breaks_the_check(text: str) -> None:
    assert not is_id(text) or str(uuid.UUID(text)) == text


@pytest.mark.parametrize("text", ["", "\0", "../../etc/passwd", "٣" * 32, " " + str(uuid.uuid4()), f"{uuid.uuid4()}\n"])
def test_other_text_is_no_id(text: str) -> None:
    assert not is_id(text)
