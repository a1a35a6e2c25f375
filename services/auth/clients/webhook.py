"""Send alerts to the operator's webhook."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from urllib.parse import urlsplit

TIMEOUT_SEC = 5.0
"""Limit of each single wait (connecting, sending, reading), in seconds."""
DEADLINE_SEC = 15.0
"""Limit of the whole delivery, in seconds."""


class WebhookError(Exception):
    """The alert was not delivered. The text contains no address, because addresses of webhooks are secrets."""


class Webhook:
    """Post JSON to one address. The operator sets it, so it may be inside the private network.

    It follows no redirect and uses no proxy of the environment: only the operator decides where alerts go. Only the
    status of the response is used.

    Args:
        url: `http://…` or `https://…`.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    async def post(self, body: str) -> None:
        """Post a JSON document once, without retries.

        Raises:
            WebhookError: the request failed, or its status is not 2xx.
        """
        try:
            async with asyncio.timeout(DEADLINE_SEC):
                status = await asyncio.to_thread(self._post, body.encode())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise WebhookError(type(error).__name__) from None
        if not http.HTTPStatus.OK <= status < http.HTTPStatus.MULTIPLE_CHOICES:
            raise WebhookError(f"status {status}")

    def _post(self, body: bytes) -> int:
        parts = urlsplit(self._url)
        host, target = parts.hostname or "", parts.path or "/"
        if parts.query:
            target += f"?{parts.query}"
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT_SEC, context=context)
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_SEC)
        try:
            headers = {"Content-Type": "application/json", "User-Agent": "Marquee"}
            connection.request("POST", target, body, headers)
            return connection.getresponse().status
        finally:
            connection.close()
