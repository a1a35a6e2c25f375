"""Tests of packing for protected playback."""
