"""Show at a terminal how far the run is."""

from __future__ import annotations

import sys
import time


class Progress:
    """One line on standard error that is overwritten, or one line per step without a terminal.

    Args:
        steps: total number of steps.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = 0
        self._started = time.monotonic()

    def step(self, what: str) -> None:
        """Begin a step."""
        self._done += 1
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        line = f"[{self._done:>3}/{self._steps}  {minutes}:{seconds:02}]  {what}"
        sys.stderr.write(f"\r\x1b[K{line[:119]}" if sys.stderr.isatty() else line + "\n")
        sys.stderr.flush()

    def warn(self, what: str) -> None:
        """Show something that makes results worse."""
        sys.stderr.write(f"warning: {what}\n")

    def end(self) -> None:
        """End the line."""
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
