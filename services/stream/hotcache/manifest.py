"""What is written down beside a copy: of what it is one, and how to tell that it is whole. No I/O."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields

_KEY_CHARS = 16


class BadManifestError(ValueError):
    """What is beside a copy was not written by any Marquee."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyManifest:
    """Of which state of which source something is a copy."""

    video_id: str
    version: int
    """The video's, as catalog counts."""
    state: str
    """The store's own name for the state of the file: two states of one name have the same bytes."""
    size: int
    """Bytes."""
    modified_ns: int | None
    """When the source last changed, nanoseconds since 1970, or None where its store does not tell: viewers are told the
    same by every tier."""
    sha256: str = ""
    """Of the bytes, hexadecimal; empty until they are all there."""

    @property
    def key(self) -> str:
        """Names the state in file names: hexadecimal, the same on every replica."""
        told = f"{self.version}\x1f{self.state}\x1f{self.size}\x1f{self.modified_ns}"
        return hashlib.sha256(told.encode()).hexdigest()[:_KEY_CHARS]

    def dump(self) -> bytes:
        """As it is written."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, text: bytes) -> CopyManifest:
        """As it was written; what a newer release added is ignored.

        Raises:
            BadManifestError: it is something else.
        """
        try:
            told = json.loads(text)
            known = {field.name: told[field.name] for field in fields(cls)}
        except (ValueError, KeyError, TypeError) as error:
            raise BadManifestError(str(error)) from error
        if any(type(value) not in _TYPES[name] for name, value in known.items()):
            raise BadManifestError("a value has another type")
        return cls(**known)


_TYPES: dict[str, tuple[type, ...]] = {
    "video_id": (str,),
    "version": (int,),
    "state": (str,),
    "size": (int,),
    "modified_ns": (int, type(None)),
    "sha256": (str,),
}
