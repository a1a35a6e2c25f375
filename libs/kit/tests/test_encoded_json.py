"""JSON of encoded parts is the JSON of the whole."""

from __future__ import annotations

import json

import pytest

from kit.encoded_json import Encoded, encode, extend

VALUES: list[object] = [
    None,
    True,
    -1,
    12.5,
    1e300,
    "",
    '사랑 "quoted" \\ \n \u2028 </script>',
    [],
    [[1, "a"], {"b": None}],
    {},
    {"": {"nested": [None, {"x": 1.5}]}, "이름": "값"},
]


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_parts_stand_for_what_they_encode(value: object) -> None:
    assert json.loads(encode(value)) == value
    assert encode({"a": [encode(value), 1], "b": encode(value)}) == encode({"a": [value, 1], "b": value})


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_extends_an_object(value: object) -> None:
    first, more = encode({"id": value}), {"more": value, "last": 1}
    assert json.loads(extend(first, more)) == {"id": value, **more}
    assert extend(first, encode(more)) == extend(first, more)


def test_text_is_written_as_it_is() -> None:
    assert encode({"title": "사랑"}) == Encoded('{"title":"사랑"}'.encode())


def test_refuses_what_json_can_not_say() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(float("nan"))
