"""Confine a process that reads foreign bytes: system calls, files, session and resources.

A parent starts it by `run.Child`; the process itself calls `confine.confine` when it has imported all that it needs.
This package imports nothing by itself, as every import is paid for at each start of a child, and depends on the
standard library only.
"""
