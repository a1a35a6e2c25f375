"""Virtual MP4 files (ISO/IEC 14496-12): a film from a key frame on, or with its index first, without copying media."""

from services.stream.mp4.build import build, milliseconds
from services.stream.mp4.errors import StartBeyondEnd, Unsupported
from services.stream.mp4.structure import Structure, structure
from services.stream.mp4.virtual_file import Span, VirtualFile

__all__ = ["Span", "StartBeyondEnd", "Structure", "Unsupported", "VirtualFile", "build", "milliseconds", "structure"]
