"""Tests of the virtual MP4 files."""
