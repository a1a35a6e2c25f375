"""Write everything that is generated from the code's tables, models and settings.

python -m apps.marquee.reference FOLDER

FOLDER is the repository, or an empty folder to compare it with (scripts/check-generated).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from apps.marquee.aliases import nginx_rewrites
from apps.marquee.reference.api import api_page
from apps.marquee.reference.database import database_page
from apps.marquee.reference.errors import errors_page
from apps.marquee.reference.events import events_page
from apps.marquee.reference.settings import settings_page

FILES: Final[Mapping[str, Callable[[], str]]] = {
    "docs/reference/api.md": api_page,
    "docs/reference/database.md": database_page,
    "docs/reference/errors.md": errors_page,
    "docs/reference/events.md": events_page,
    "docs/reference/settings.md": settings_page,
    "gateway/aliases.conf": nginx_rewrites,
}
"""What makes each file, by its path in the repository."""


def write(folder: Path) -> None:
    """Write each file below a folder."""
    for name, make in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
