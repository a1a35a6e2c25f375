"""Virtual MP4 files (ISO/IEC 14496-12): begin a film at a key frame, or move its index first, without copying media."""

from mp4.builder import build, milliseconds
from mp4.errors import StartBeyondEndError, UnsupportedMediaError
from mp4.structure import Structure, structure
from mp4.virtual_file import Span, VirtualFile

__all__ = [
    "Span",
    "StartBeyondEndError",
    "Structure",
    "UnsupportedMediaError",
    "VirtualFile",
    "build",
    "milliseconds",
    "structure",
]
