"""Let an engine run where root may not lower an OOM score, which it asks for its own helpers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_WRAPPER = """#!/bin/bash
# Zeroes a negative OOM score in the container's description, which root may not set here, and hands over to runc.
set -euo pipefail
bundle= previous= creating=
for argument in "$@"; do
    [ "$previous" != --bundle ] || bundle=$argument
    case $argument in create | run) creating=yes ;; esac
    previous=$argument
done
if [ -n "$creating" ] && [ -n "$bundle" ]; then
    changed=$(jq 'if (.process.oomScoreAdj // 0) < 0 then .process.oomScoreAdj = 0 else . end' "$bundle/config.json")
    printf '%s' "$changed" > "$bundle/config.json"
fi
exec runc "$@"
"""
# The error of a buffered write that only the end of the process flushes would be printed and forgotten.
_PROBE = "import os, sys; os.write(os.open(sys.argv[1], os.O_WRONLY), b'-500')"


def may_lower_oom_score(of: str = "/proc/self/oom_score_adj") -> bool:
    """Return whether this user may lower the OOM score of a process: it needs CAP_SYS_RESOURCE and no refusing sandbox.

    Args:
        of: the file that holds the score; a new process writes to it, so that this one keeps its own.
    """
    return subprocess.run([sys.executable, "-c", _PROBE, of], capture_output=True, check=False).returncode == 0


def write_runc_wrapper(path: Path) -> None:
    """Write a program that stands before `runc` and drops requests for a negative OOM score."""
    path.write_text(_WRAPPER)
    path.chmod(0o755)
