"""Errors of confining a process."""

from __future__ import annotations


class SandboxError(Exception):
    """The process could not be confined as required, and must not read foreign bytes."""
