"""Answer JSON that the client may have already: a list that has not changed costs no transfer."""

from __future__ import annotations

import hashlib

from fastapi import Request, Response
from pydantic import BaseModel

_TAG_CHARACTERS = 32


def conditional_json(request: Request, view: BaseModel) -> Response:
    """Return a view as JSON with an ETag; 304 without a body when `If-None-Match` names it (RFC 9110, 13.1.2)."""
    body = view.model_dump_json(by_alias=True).encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:_TAG_CHARACTERS]}"'
    # The next user of this browser may see another list: a cache asks each time.
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
    given = {each.strip().removeprefix("W/") for each in request.headers.get("If-None-Match", "").split(",")}
    if etag in given or "*" in given:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
