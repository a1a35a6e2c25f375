"""Tests of progress that need nothing but a file."""
