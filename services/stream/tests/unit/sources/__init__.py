"""Tests of the cache of sources."""
