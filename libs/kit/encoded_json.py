"""JSON put together of parts that are encoded already: what many callers are shown is encoded once for all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

_dumps: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Encoded(bytes):
    """A JSON value in UTF-8."""

    __slots__ = ()


def encode(value: object) -> Encoded:
    """Return a value as JSON; its dicts and lists may hold `Encoded` parts, which are put in as they are."""
    if isinstance(value, Encoded):
        return value
    if isinstance(value, dict):
        fields = (_encode_name(name) + encode(each) for name, each in value.items())
        return Encoded(b"{" + b",".join(fields) + b"}")
    if isinstance(value, list):
        return Encoded(b"[" + b",".join(map(encode, value)) + b"]")
    return Encoded(_dumps(value).encode())


def extend(encoded: Encoded, fields: Mapping[str, object] | Encoded) -> Encoded:
    """Return an encoded object, which has a field, with more fields behind its own."""
    return Encoded(encoded[:-1] + b"," + encode(fields)[1:])


@lru_cache(1000)
def _encode_name(name: str) -> bytes:
    return _dumps(name).encode() + b":"
