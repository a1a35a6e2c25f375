"""Options of `marquee upload`: apart from the command, which takes longer to import."""

from __future__ import annotations

import argparse

MAX_JOBS = 16


def upload_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = (
        "Exit status: 0 when every film has arrived, 1 when some failed, 2 when nothing could begin, 130 after Ctrl-C. "
        "Run the same command again to go on."
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="video files, and folders that are searched for them")
    parser.add_argument("--jobs", type=_jobs, default=2, metavar="N", help="files at a time (1-16; default: 2)")
    parser.add_argument("--title", default=None, help="title, for a single file (default: its name)")
    parser.add_argument("--tags", default="", help="tags, separated by commas")
    parser.add_argument("--corporation", default="", metavar="ID", help="for administrators: whose they are")
    parser.add_argument("--protection", choices=["none", "lsv"], default="none", help="lsv: served encrypted only")
    parser.add_argument("--again", action="store_true", help="upload what an earlier run has uploaded, too")
    parser.add_argument("--dry-run", action="store_true", help="only list what would be sent")
    parser.add_argument("--json", action="store_true", help="print one JSON object a file, for scripts")
    parser.add_argument("--no-wait", action="store_true", help="do not wait until the videos are processed")
    parser.add_argument(
        "--patience", type=float, default=300.0, metavar="SEC", help="give a file up after so long without progress"
    )


def _jobs(text: str) -> int:
    jobs = int(text)
    if not 1 <= jobs <= MAX_JOBS:
        raise argparse.ArgumentTypeError(f"must be 1 to {MAX_JOBS}")
    return jobs
