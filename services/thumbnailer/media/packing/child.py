"""Remux one hostile film in a process that may do nothing else: the entry point.

`packer.py` runs this file by its path, as `inspection.py` runs `media/child.py`. The film is standard input, and
standard output is a pipe: plaintext never touches a disk. The exit status says how it ended.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
# An isolated interpreter finds nothing beside this file by itself, and ignores PYTHONPATH, which an image sets.
sys.path += [str(ROOT), str(ROOT / "libs")]

from services.thumbnailer.media.child import ANSWER, SOURCE, confine, failure_code  # noqa: E402 - found by the above
from services.thumbnailer.media.packing.errors import NeedsTranscodingError  # noqa: E402
from services.thumbnailer.media.packing.exit_status import to_status  # noqa: E402
from services.thumbnailer.media.packing.remux import remux  # noqa: E402
from services.thumbnailer.media.probe import open_undecoded  # noqa: E402


class Pipe:
    """Writes everything it is given."""

    def write(self, data: bytes, /) -> int:
        """Write, and wait while the pipe is full."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(ANSWER, rest) :]
        return len(data)


def main() -> None:
    """Remux the film on standard input as the job in the first argument says, and exit."""
    job = json.loads(sys.argv[1])
    try:
        confine(job)
        with open_undecoded(SOURCE, job["max_pixels"]) as source:
            remux(source, Pipe(), job["max_segment_bytes"])
    except NeedsTranscodingError:
        os._exit(to_status("NEEDS_TRANSCODING"))
    except Exception as error:  # noqa: BLE001 - a foreign file decides what is raised here
        os._exit(to_status(failure_code(error)))
    # Skip FFmpeg's cleanup, which would use a heap that a hostile file may have damaged.
    os._exit(0)


if __name__ == "__main__":
    main()
