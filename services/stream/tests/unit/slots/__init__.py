"""Tests of the slots."""
