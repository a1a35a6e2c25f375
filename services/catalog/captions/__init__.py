"""Subtitle files: find out their encoding, convert them to WebVTT, read what their names say. No I/O."""

from services.catalog.captions.convert import Captions, InvalidSubtitlesError, to_webvtt
from services.catalog.captions.encoding import Decoded, decode
from services.catalog.captions.names import MAX_TRACK_CHARS, Track, canonical_language, parse_track, sidecar_track

__all__ = [
    "MAX_TRACK_CHARS",
    "Captions",
    "Decoded",
    "InvalidSubtitlesError",
    "Track",
    "canonical_language",
    "decode",
    "parse_track",
    "sidecar_track",
    "to_webvtt",
]
