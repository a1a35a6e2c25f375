"""`docs/reference/api.md`: every route of the five services, and the other spellings of routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from apps.marquee.aliases import ALIASES
from apps.marquee.openapi import document_parts
from apps.marquee.reference.markdown import one_line, table

HEAD: Final = """# HTTP API

<!-- Generated from the OpenAPI documents of the services by `make docs`. -->

Schemas of requests and answers are in the OpenAPI document: `/openapi.json` of a running Marquee, with a page to try it
at `/docs/`, and `web/public/openapi.json` in the repository. [docs/http](../http) has a request for each route.

- JSON in `snake_case`; ids are UUIDv7; times are ISO 8601 in UTC; positions and durations are seconds.
- Lists take `?page=1&page_size=20` (at most 100) and answer `{items, page, page_size, total}`.
- Errors have one form and a stable code: [errors](errors.md). Each route may also answer `AUTH_INVALID_TOKEN` (401),
  `AUTH_FORBIDDEN` (403), `VALIDATION_FAILED` (422) and `RATE_LIMITED` (429).
- Callers prove who they are by `Authorization: Bearer`, `Authorization: Basic`, the cookie that a login sets, and for
  media by `?ticket=`: [authentication](../architecture/auth.md). Who may call what: `tests/contract/access.txt`.
"""
ALIASES_HEAD: Final = """
## Other spellings

Both gateways take these for the routes on the right, with every method, query and body; rights, limits and answers are
those of the route. `{id}` stands for one segment of the path, `{rest}` for all that follows. The table is
`apps/marquee/aliases.py`. A service that is reached without a gateway (`MARQUEE_STREAM_PUBLIC_URL`) knows its own
routes only.
"""
_COMMON: Final = {"401", "403", "422"}


def api_page() -> str:
    """Return the page, in Markdown."""
    lines = [HEAD]
    for service, document in document_parts().items():
        if document.get("paths"):
            lines += [f"## {service}\n", *_routes(document["paths"]), ""]
    aliases = ((f"`{alias.path}`", f"`{alias.target}`", alias.note) for alias in ALIASES)
    return "\n".join([*lines[:-1], ALIASES_HEAD, *table(("spelling", "route", ""), aliases)]) + "\n"


def _routes(paths: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    rows = []
    for path, operations in sorted(paths.items()):
        for method, operation in operations.items():
            query = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
            rows.append(
                (
                    f"`{method.upper()} {path}`",
                    one_line(operation.get("description")),
                    ", ".join(f"`{name}`" for name in query),
                    ", ".join(status for status in sorted(operation["responses"]) if status not in _COMMON),
                    "" if operation.get("security") else "yes",
                )
            )
    yield from table(("route", "what it does", "query", "answers", "public"), rows)
