"""JSON of encoded parts is the JSON of the whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.encoded_json import Encoded, encode, extend

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
FIELDS = st.dictionaries(st.text(), VALUES, min_size=1, max_size=3)


@given(whole=VALUES, part=VALUES)
def test_parts_stand_for_what_they_encode(whole: object, part: object) -> None:
    assert json.loads(encode(whole)) == whole
    assert encode({"a": [encode(part)], "b": whole}) == encode({"a": [part], "b": whole})


@given(first=FIELDS, more=FIELDS)
def test_extends_an_object(first: dict[str, object], more: dict[str, object]) -> None:
    kept = {name: value for name, value in first.items() if name not in more} or {"": None}
    assert json.loads(extend(encode(kept), more)) == {**kept, **more}


def test_text_is_written_as_it_is() -> None:
    assert encode({"title": "사랑"}) == Encoded('{"title":"사랑"}'.encode())


def test_refuses_what_json_can_not_say() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(float("nan"))
