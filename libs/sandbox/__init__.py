"""Confine a process that reads foreign bytes: system calls, files, session and resources.

A parent starts it with `run.Child`; the process itself calls `confine.confine` after it has imported everything that it
needs. This package imports nothing by itself, because every import slows down each start of a child, and depends on
the standard library only.
"""
