"""Errors of packs, keys and spools."""

from __future__ import annotations


class LsvError(Exception):
    """Something about a pack, a key or a spool is not as it must be."""


class NotAPackError(LsvError):
    """The file does not begin with the magic number of LSV."""


class UnsupportedPackError(LsvError):
    """A version or an algorithm identifier is none that this library implements."""

    def __init__(self, field: str, value: int) -> None:
        """Take the name of the field and the value found there."""
        super().__init__(f"{field} {value} is not supported")
        self.field = field
        self.value = value


class TruncatedPackError(LsvError):
    """The pack ends before its header or its records do."""


class TrailingDataError(LsvError):
    """Bytes follow the last record."""


class MalformedHeaderError(LsvError):
    """The header breaks a rule of the format: of its lengths before it is authenticated, of its contents after."""


class WrongKeyError(LsvError):
    """The pack names another content key."""


class HeaderAuthenticationError(LsvError):
    """The header was changed, or the content key is not the one that it was written with."""


class WrongPackError(LsvError):
    """The pack is authentic, but of other content or of another version than expected."""


class RecordAuthenticationError(LsvError):
    """A record was changed, moved, or taken from another pack."""

    def __init__(self, index: int) -> None:
        """Take the index of the record; 0 is the initialisation segment."""
        super().__init__(f"record {index} is not authentic")
        self.index = index


class ChunkRefusedError(LsvError):
    """A chunk can't be written: it is empty, too large, or out of order."""


class SpoolError(LsvError):
    """The spool can't be continued: there is none, its first write was cut short, or it is of other content."""


class SourceChangedError(LsvError):
    """A chunk differs from the one that was written in its place before the interruption."""


class WrappedKeyError(LsvError):
    """A wrapped key is malformed, was changed, is of another content key, or its master key is wrong."""


class UnknownMasterKeyError(LsvError):
    """The master key that wrapped a content key is not in the ring."""


class InvalidPublicKeyError(LsvError):
    """A device's public key is no point of P-256 in its uncompressed form."""
