"""Why a film can't be packed."""

from __future__ import annotations


class PackingError(Exception):
    """The stream of fragments can't be packed: it is damaged, cut off, or breaks a limit."""


class NeedsTranscodingError(PackingError):
    """Browsers can't play these codecs by MediaSource, or a picture is too large for a chunk."""
