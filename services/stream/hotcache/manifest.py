"""The manifest of a hot copy: which state of which asset it has, and how to check that it is whole. No I/O."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields

from services.stream.domain import AssetKind

_KEY_CHARS = 16


class BadManifestError(ValueError):
    """The text is not a manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyManifest:
    """Which state of which asset a copy has."""

    asset_id: str
    """The video's id in manifests from before assets, which are of sources."""
    kind: str = AssetKind.SOURCE
    """An `AssetKind`."""
    video_id: str
    version: int
    """The video's, as catalog counts."""
    state: str
    """The store's own name for the state of the file: two states of one name have the same bytes."""
    size: int
    """Bytes."""
    modified_ns: int | None
    """When the original last changed, nanoseconds since 1970, or None where its store does not tell: every tier serves
    the same date."""
    sha256: str = ""
    """Of the bytes, hexadecimal; empty until they are all there."""

    @property
    def key(self) -> str:
        """Name of the state in file names: hexadecimal, the same on every replica."""
        state = f"{self.version}\x1f{self.state}\x1f{self.size}\x1f{self.modified_ns}"
        return hashlib.sha256(state.encode()).hexdigest()[:_KEY_CHARS]

    @property
    def file_id(self) -> str:
        """Name of the asset in file names: for a source the video's id, as in releases before assets."""
        return self.video_id if self.kind == AssetKind.SOURCE else self.asset_id

    def dump(self) -> bytes:
        """Return the text to write."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, text: bytes) -> CopyManifest:
        """Read what `dump` wrote, in this release or another; fields that a newer one added are ignored.

        Raises:
            BadManifestError: the text is something else.
        """
        try:
            written = json.loads(text)
            written = {"asset_id": written["video_id"], "kind": AssetKind.SOURCE.value} | written
            values = {field.name: written[field.name] for field in fields(cls)}
        except (ValueError, KeyError, TypeError) as error:
            raise BadManifestError(str(error)) from error
        if any(type(value) not in _TYPES[name] for name, value in values.items()):
            raise BadManifestError("a value has another type")
        return cls(**values)


_TYPES: dict[str, tuple[type, ...]] = {
    "asset_id": (str,),
    "kind": (str,),
    "video_id": (str,),
    "version": (int,),
    "state": (str,),
    "size": (int,),
    "modified_ns": (int, type(None)),
    "sha256": (str,),
}
