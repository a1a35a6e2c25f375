"""What can go wrong while a process is confined."""

from __future__ import annotations


class SandboxError(Exception):
    """The process is not confined as it must be; it must not read foreign bytes."""
