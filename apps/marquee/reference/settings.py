"""`docs/reference/settings.md`: every setting of every service, from the settings classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from apps.marquee.embedded import SERVICES, EmbeddedSettings
from apps.marquee.reference.markdown import table
from kit.settings import PREFIX, ServiceSettings

HEAD = """# Settings

<!-- Generated from the settings classes by `make docs`. -->

Environment variables. A bad or missing value stops the start with a sentence that names it; an empty one counts as
missing.

In embedded mode (`make run`) the launcher sets databases, events, addresses and keys itself, below `MARQUEE_DATA_DIR`.
In front of containers nginx reads `MARQUEE_TRUSTED_PROXIES`, `MARQUEE_RATE_LIMIT_PER_MIN` and
`MARQUEE_USER_RATE_LIMIT_PER_MIN`, too; each process that counts requests counts for itself. Behind HTTPS it also takes
`MARQUEE_HSTS_SEC` (0, which is off), the seconds for which browsers insist on HTTPS, and `MARQUEE_COOP` (none), the
pages' Cross-Origin-Opener-Policy, as `same-origin`.
"""


def settings_page() -> str:
    """Return the page, in Markdown."""
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
    rows = (
        (f"`{PREFIX}{field.upper()}`", _default(info), str(info.description))
        for field, info in cls.model_fields.items()
        if field not in leave_out
    )
    yield from table(("variable", "default", "what it is"), rows)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "must be set"
    value: Any = info.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return "none" if value in (None, "") else f"`{value}`"
