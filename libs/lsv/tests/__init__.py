"""Tests of the LSV packs."""
