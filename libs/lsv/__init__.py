"""LSV packs: encrypted films that are played chunk by chunk. The format is docs/reference/lsv-format.md."""

from lsv.header import Header
from lsv.keys import ContentKey
from lsv.layout import Entry, PackDescription
from lsv.reader import ByteSource, FileSource, PackReader
from lsv.wrapping import MasterKeys, WrapAlgorithm
from lsv.writer import PackWriter

__all__ = [
    "ByteSource",
    "ContentKey",
    "Entry",
    "FileSource",
    "Header",
    "MasterKeys",
    "PackDescription",
    "PackReader",
    "PackWriter",
    "WrapAlgorithm",
]
