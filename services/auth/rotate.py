"""Rotate the signing keys: `marquee keys rotate`, or `python -m services.auth.rotate` where the former is missing."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from kit.settings import SettingsError, stop_start
from services.auth.credentials.keys import rotate


def run(file: Path | None, *, compromised: bool) -> None:
    """Rotate the keys and print what was done.

    Args:
        file: the key file; by default the one that the environment names, or else that of embedded mode.
        compromised: the old keys were leaked.

    Raises:
        SettingsError: the keys can't be rotated.
    """
    path = file or _default()
    done = rotate(path, compromised=compromised)
    begins = datetime.fromtimestamp(done.signs_from, UTC)
    sys.stdout.write(
        f"Key {done.kid} signs from {begins:%Y-%m-%d %H:%M:%S} UTC on; services read {path} by themselves.\n"
    )
    for kid in done.removed:
        sys.stdout.write(f"Key {kid} was removed.\n")


def _default() -> Path:
    if named := os.environ.get("MARQUEE_SIGNING_KEY_FILE"):
        return Path(named)
    return Path(os.environ.get("MARQUEE_DATA_DIR") or "var") / "signing.json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m services.auth.rotate", description=__doc__)
    parser.add_argument("--file", type=Path, default=None, help="the key file (default: MARQUEE_SIGNING_KEY_FILE)")
    parser.add_argument(
        "--compromised", action="store_true", help="the old keys are in wrong hands: refuse them at once"
    )
    chosen = parser.parse_args(arguments)
    try:
        run(chosen.file, compromised=chosen.compromised)
    except SettingsError as error:
        stop_start(error)


if __name__ == "__main__":
    main()
