"""Other spellings of routes, as the specifications have them: one table, which both gateways apply before routing.

An alias changes the path only. Methods, queries, bodies, rights, limits and answers are those of the route that it
stands for, so services and OpenAPI know nothing of aliases. `gateway/aliases.conf` and the table in
`docs/reference/api.md` are generated from this one by `make docs`.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class Alias(NamedTuple):
    """One other spelling of a route: `{id}` stands for one segment of the path, `{rest}` for all that follows."""

    path: str
    target: str
    note: str = ""


ALIASES: Final = (
    Alias("/api/stream/{id}", "/api/videos/{id}/stream"),
    Alias("/api/stream/{id}/info", "/api/videos/{id}/stream/info"),
    Alias("/api/stream/{id}/progress", "/api/videos/{id}/progress"),
    Alias("/api/contents", "/api/videos"),
    Alias("/api/contents/{id}/hands", "/api/videos/{id}/highlights"),
    Alias("/api/contents/{rest}", "/api/videos/{rest}"),
    Alias("/api/play-session", "/api/play-sessions"),
    Alias("/api/play-session/{rest}", "/api/play-sessions/{rest}"),
    Alias("/api/video-url", "/api/play-sessions", "the signed address is `stream_url` of the answer"),
    Alias("/api/offline-license", "/api/offline-licenses"),
    Alias("/api/offline-license/{rest}", "/api/offline-licenses/{rest}"),
    Alias("/api/admin/dashboard", "/api/admin/streams", "live streams, and the platform's metrics"),
    Alias("/api/admin/users", "/api/users"),
    Alias("/api/admin/users/{rest}", "/api/users/{rest}"),
    Alias("/api/admin/contents", "/api/videos", "administrators find every status"),
    Alias("/api/admin/contents/{id}/hands", "/api/videos/{id}/highlights"),
    Alias("/api/admin/contents/{rest}", "/api/videos/{rest}"),
    Alias("/v1/videos/stream/{id}", "/api/videos/{id}/stream"),
    Alias("/v1/{rest}", "/api/{rest}"),
)
"""The first that matches counts, once: the target of an alias is no alias. Every target exists."""

_PLACEHOLDERS: Final = {"{id}": "([^/]+)", "{rest}": "(.+)"}
_PLACEHOLDER: Final = re.compile(r"(\{\w+\})")


def _pattern(alias: Alias) -> str:
    """Return the regular expression of a spelling, which Python and nginx (PCRE) read alike."""
    return "".join(_PLACEHOLDERS.get(piece, piece) for piece in _PLACEHOLDER.split(alias.path))


_COMPILED: Final = tuple((re.compile(_pattern(alias)), _PLACEHOLDER.sub(r"\\1", alias.target)) for alias in ALIASES)
_PREFIXES: Final = tuple({alias.path.partition("{")[0] for alias in ALIASES})


def resolve_alias(path: str) -> str:
    """Return the path of the route that a path stands for: the same one for all that are no alias."""
    # Requests for bytes are no aliases: they are through after one comparison of prefixes.
    if not path.startswith(_PREFIXES):
        return path
    for pattern, target in _COMPILED:
        if match := pattern.fullmatch(path):
            return match.expand(target)
    return path


def nginx_rewrites() -> str:
    """Return the table as nginx reads it: `gateway/aliases.conf`."""
    rules = (f"rewrite ^{_pattern(alias)}$ {_PLACEHOLDER.sub('$1', alias.target)} last;\n" for alias in ALIASES)
    return "# Other spellings of routes. Generated from apps/marquee/aliases.py by `make docs`.\n" + "".join(rules)
