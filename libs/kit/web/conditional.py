"""Answer JSON: encoded already, or with an entity tag, so that a list that has not changed costs no transfer."""

from __future__ import annotations

import hashlib
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

from kit.encoded_json import Encoded, encode

_TAG_CHARACTERS = 32


class EncodedResponse(Response):
    """JSON of which parts are `Encoded`; the route names the model that it has the shape of."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return encode(content)


def conditional_json(request: Request, view: BaseModel | Encoded) -> Response:
    """Return a view as JSON with an ETag; 304 without a body when `If-None-Match` names it (RFC 9110, 13.1.2)."""
    body = view if isinstance(view, Encoded) else Encoded(view.model_dump_json(by_alias=True).encode())
    etag = f'"{hashlib.sha256(body).hexdigest()[:_TAG_CHARACTERS]}"'
    # The next user of this browser may see another list: a cache asks each time.
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
    given = {each.strip().removeprefix("W/") for each in request.headers.get("If-None-Match", "").split(",")}
    if etag in given or "*" in given:
        return Response(status_code=304, headers=headers)
    return EncodedResponse(body, headers=headers)
