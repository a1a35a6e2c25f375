"""Measure search: what it finds on generated titles, and how long lists and searches take in a large library."""
