"""Write the OpenAPI document of the whole platform: those of the five services, merged.

python -m apps.marquee.openapi FILE
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from apps.marquee.embedded import build, service_settings
from kit.bus.local import LocalBus

INFO = {
    "title": "Marquee",
    "version": "1",
    "description": "A self-hosted video-on-demand platform. Errors are `{error: {code, message, details}}`; lists are "
    "`{items, page, page_size, total}`; times are ISO 8601 in UTC.",
}


def document() -> dict[str, Any]:
    """Return the merged document.

    Raises:
        ValueError: two services describe the same path or component differently.
    """
    merged: dict[str, Any] = {"openapi": "3.1.0", "info": INFO, "paths": {}, "components": {}}
    for part in document_parts().values():
        merged["openapi"] = part["openapi"]
        for path, operations in part.get("paths", {}).items():
            _join(merged["paths"].setdefault(path, {}), operations, path)
        for kind, entries in part.get("components", {}).items():
            _join(merged["components"].setdefault(kind, {}), entries, kind)
    merged["components"]["schemas"] = dict(sorted(merged["components"]["schemas"].items()))
    merged["paths"] = dict(sorted(merged["paths"].items()))
    return merged


def _join(target: dict[str, Any], more: dict[str, Any], where: str) -> None:
    for name, value in more.items():
        if target.setdefault(name, value) != value:
            raise ValueError(f"{where}: {name} means two things")


def document_parts() -> dict[str, dict[str, Any]]:
    """Return the document of each service, by its name."""
    return asyncio.run(_parts())


async def _parts() -> dict[str, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        bus = LocalBus(data / "bus.db")
        services = build(service_settings(data, data, None), bus)
        try:
            return {service.name: service.app.openapi() for service in services}
        finally:
            for service in services:
                await service.resources.aclose()


def main() -> None:
    """Write the document to the file named on the command line."""
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
