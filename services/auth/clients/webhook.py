"""Tells the operator of alerts, at an address of their own."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from urllib.parse import urlsplit

TIMEOUT_SEC = 5.0
"""For each wait: to connect, to send, to read."""
DEADLINE_SEC = 15.0
"""For all of it."""


class WebhookError(Exception):
    """The alert was not taken; the text names no address, for addresses of webhooks are secrets."""


class Webhook:
    """Posts JSON to one address: the operator's own setting, so it may well be inside the private network.

    It follows no redirect and uses no proxy of the environment: nobody but the operator decides where this goes. Of the
    answer only the status is looked at.

    Args:
        url: `http://…` or `https://…`.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    async def post(self, body: str) -> None:
        """Posts a JSON document once.

        Raises:
            WebhookError: nobody took it.
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
