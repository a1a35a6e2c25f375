"""Tests of the benchmark of search."""
