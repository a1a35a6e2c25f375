"""Objects in S3, or in what speaks like it: where one is asked for, and with which signature."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from kit.origins.client import Answer, Client
from kit.origins.references import Object, Url, parse_url
from kit.origins.sigv4 import Credentials, encode_key, presign, sign


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that speaks S3.

    Buckets are part of the path there: every server knows that form, and it needs no wildcard in DNS or certificates.
    """

    url: Url
    credentials: Credentials | None
    """None for buckets that anybody may read."""

    @classmethod
    def of(cls, url: str, credentials: Credentials | None) -> Endpoint:
        """An endpoint by its address. Raises InvalidReferenceError when that is none."""
        return cls(parse_url(url), credentials)

    def locate(self, thing: Object) -> Url:
        """Where an object is."""
        target = f"{self.url.target.rstrip('/')}/{thing.bucket}/{encode_key(thing.key)}"
        return Url(self.url.scheme, self.url.host, self.url.port, target)

    def presigned(self, thing: Object, expires_sec: int, query: Mapping[str, str]) -> str:
        """An address from which whoever has it may read an object for so many seconds."""
        url = self.locate(thing)
        if self.credentials is None:
            return str(url)
        now = datetime.now(UTC)
        return (
            f"{url}?{presign(self.credentials, url.authority, url.target, now, expires_sec=expires_sec, query=query)}"
        )


class ObjectReader:
    """Asks an endpoint for objects.

    Args:
        endpoint: whom to ask.
        client: asks; its guard, if any, must permit the endpoint.
    """

    def __init__(
        self, endpoint: Endpoint, client: Client, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._endpoint = endpoint
        self._client = client
        self._now = now

    @asynccontextmanager
    async def get(self, thing: Object, fields: Mapping[str, str]) -> AsyncIterator[Answer]:
        """The answer to a signed GET of an object; `Client.get` says what it raises.

        A redirect leads to another region: a signature for this one is worth nothing there.
        """
        url = self._endpoint.locate(thing)
        credentials = self._endpoint.credentials
        signed = sign(credentials, "GET", url.authority, url.target, self._now()) if credentials else {}
        async with self._client.get(url, {**fields, **signed}, redirects=0) as answer:
            yield answer
