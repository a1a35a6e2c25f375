"""A writer of reports as a process of its own, for a test that kills it.

python -m services.progress.tests.integration.report DATABASE_URL USER_ID VIDEO_ID…

Reports the positions 1, 2, 3 … of each video, all videos at once, and prints video and position once they are answered.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Sequence

from kit.db.database import Database
from services.progress.domain import Report
from services.progress.service.recording import ReportWriter


async def main(database_url: str, user_id: str, video_ids: Sequence[str]) -> None:
    """Report until killed."""
    writer = ReportWriter(Database(database_url))

    async def watch(video_id: str) -> None:
        for position in itertools.count(1):
            await writer.write(user_id, video_id, Report(float(position)))
            sys.stdout.write(f"{video_id} {position}\n")
            sys.stdout.flush()

    await asyncio.gather(*(watch(video_id) for video_id in video_ids))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
