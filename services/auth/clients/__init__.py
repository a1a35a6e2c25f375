"""Clients of what is outside Marquee."""
