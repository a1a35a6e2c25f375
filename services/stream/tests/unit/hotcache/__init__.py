"""Tests of the hot cache."""
