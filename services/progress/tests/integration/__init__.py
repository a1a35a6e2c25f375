"""Tests of progress against real databases."""
