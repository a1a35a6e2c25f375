"""Serve files as they were compressed when the site was built (web/compress.mjs), where the client takes that."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

SUFFIXES: Final[Mapping[str, str]] = {"br": ".br", "gzip": ".gz"}
"""File name suffixes by content coding, the smallest form first."""


class PrecompressedFiles(StaticFiles):
    """Serve `name.br` or `name.gz` in place of `name`: the same in another coding (RFC 9110, 8.4 and 12.5.3)."""

    def file_response(
        self, full_path: str | PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return the file in the best coding that the request accepts; Starlette calls this for every file it finds.

        A file that has compressed forms varies by `Accept-Encoding`, and each form has an entity tag of its own.
        """
        file = Path(full_path)
        forms = {coding: file.with_name(f"{file.name}{suffix}") for coding, suffix in SUFFIXES.items()}
        codings = {coding: path for coding, path in forms.items() if path.is_file()}
        if not codings:
            return super().file_response(full_path, stat_result, scope, status_code)
        request_headers = Headers(scope=scope)
        coding = choose_coding(", ".join(request_headers.getlist("Accept-Encoding")), codings)
        path = codings.get(coding, file)
        response = FileResponse(
            path,
            status_code=status_code,
            stat_result=path.stat() if coding else stat_result,
            media_type=mimetypes.guess_type(file.name)[0],
        )
        response.headers["Vary"] = "Accept-Encoding"
        if coding:
            response.headers["Content-Encoding"] = coding
            response.headers["ETag"] = f'{response.headers["ETag"][:-1]}-{coding}"'
        if self.is_not_modified(response.headers, request_headers):
            return NotModifiedResponse(response.headers)
        return response


def choose_coding(accept_encoding: str, available: Mapping[str, object]) -> str:
    """Return the content coding to answer with; empty for none (RFC 9110, 12.5.3).

    Args:
        accept_encoding: the header's value, which may be empty.
        available: codings that there are, the preferred one first.
    """
    weights: dict[str, float] = {}
    for item in accept_encoding[:500].lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            weights[name] = float(weight)
        except ValueError:
            weights[name] = 0.0
    candidates = {coding: weights.get(coding, weights.get("*", 0.0)) for coding in available}
    best = max(candidates, key=lambda coding: candidates[coding], default="")
    # A client that prefers the plain form gives it a higher weight; without one, a compressed form is better.
    return best if candidates.get(best, 0.0) > 0 and candidates[best] >= weights.get("identity", 0.0) else ""
