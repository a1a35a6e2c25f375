"""Objects in S3 or a compatible server: their addresses, and signed requests for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from kit.origins.client import OriginClient, OriginResponse
from kit.origins.references import Object, Url, parse_url
from kit.origins.sigv4 import Credentials, encode_key, presign, sign


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that speaks S3.

    Buckets are part of the path: every server supports that form, and it needs no wildcard in DNS or certificates.
    """

    url: Url
    credentials: Credentials | None
    """None for public buckets."""

    @classmethod
    def of(cls, url: str, credentials: Credentials | None) -> Endpoint:
        """Return the endpoint at an address; raise InvalidReferenceError when that is malformed."""
        return cls(parse_url(url), credentials)

    def locate(self, thing: Object) -> Url:
        """Return the address of an object."""
        target = f"{self.url.target.rstrip('/')}/{thing.bucket}/{encode_key(thing.key)}"
        return Url(self.url.scheme, self.url.host, self.url.port, target)

    def presigned(self, thing: Object, expires_sec: int, query: Mapping[str, str]) -> str:
        """Return an address that permits its holder to read an object for `expires_sec` seconds."""
        url = self.locate(thing)
        if self.credentials is None:
            return str(url)
        now = datetime.now(UTC)
        return (
            f"{url}?{presign(self.credentials, url.authority, url.target, now, expires_sec=expires_sec, query=query)}"
        )


class ObjectReader:
    """Reads objects from an endpoint.

    Args:
        endpoint: the endpoint.
        client: sends the requests; its guard, if any, must permit the endpoint.
    """

    def __init__(
        self, endpoint: Endpoint, client: OriginClient, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._endpoint = endpoint
        self._client = client
        self._now = now

    @asynccontextmanager
    async def get(self, thing: Object, fields: Mapping[str, str]) -> AsyncIterator[OriginResponse]:
        """Send a signed GET for an object; raise what `OriginClient.get` raises.

        Redirects are not followed: they lead to another region, where the signature is invalid.
        """
        url = self._endpoint.locate(thing)
        credentials = self._endpoint.credentials
        signed = sign(credentials, "GET", url.authority, url.target, self._now()) if credentials else {}
        async with self._client.get(url, {**fields, **signed}, redirects=0) as answer:
            yield answer
