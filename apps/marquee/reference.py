"""Write the references of settings and events from the settings classes and the events' contracts.

python -m apps.marquee.reference FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from apps.marquee.embedded import SERVICES, EmbeddedSettings
from apps.marquee.event_reference import events_page
from kit.settings import PREFIX, ServiceSettings

HEAD = """# Settings

Environment variables. A bad or missing value stops the start with a sentence that names it; an empty one counts as
missing. This page is made from the settings classes by `make docs`.

In embedded mode (`make run`) the launcher sets databases, events, addresses and keys itself, below `MARQUEE_DATA_DIR`.
In front of containers nginx reads `MARQUEE_TRUSTED_PROXIES`, `MARQUEE_RATE_LIMIT_PER_MIN` and
`MARQUEE_USER_RATE_LIMIT_PER_MIN`, too; each process that counts requests counts for itself. Behind HTTPS it also takes
`MARQUEE_HSTS_SEC` (0, which is off), the seconds for which browsers insist on HTTPS, and `MARQUEE_COOP` (none), the
pages' Cross-Origin-Opener-Policy, as `same-origin`.
"""


def settings_page() -> str:
    """The page, in Markdown."""
    classes = {"embedded mode": EmbeddedSettings} | {name: cls for name, (_, cls) in SERVICES.items()}
    lines = [HEAD, "## Every service\n", *_table(ServiceSettings, set())]
    for name, cls in classes.items():
        common = {
            field
            for field, info in ServiceSettings.model_fields.items()
            if cls.model_fields[field].default == info.default
        }
        lines += [f"\n## {name}\n", *_table(cls, common)]
    return "\n".join(lines) + "\n"


def _table(cls: type[ServiceSettings], leave_out: set[str]) -> Iterator[str]:
    yield "| variable | default | what it is |"
    yield "| --- | --- | --- |"
    for field, info in cls.model_fields.items():
        if field not in leave_out:
            yield f"| `{PREFIX}{field.upper()}` | {_default(info)} | {info.description} |"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "must be set"
    value: Any = info.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return "none" if value in (None, "") else f"`{value}`"


def main() -> None:
    """Writes the pages into the folder named on the command line."""
    folder = Path(sys.argv[1])
    (folder / "settings.md").write_text(settings_page())
    (folder / "reference").mkdir(exist_ok=True)
    (folder / "reference" / "events.md").write_text(events_page())


if __name__ == "__main__":
    main()
