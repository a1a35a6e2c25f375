"""A client whose requests fail as a test wants it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace

from kit.origins import OriginClient, OriginInterruptedError
from kit.origins.client import OriginRequest, OriginResponse
from kit.origins.references import Url

Match = Callable[[OriginRequest], bool]


@dataclass
class Fault:
    """What happens to the requests that match, the first `times` of them."""

    match: Match
    times: int = 1
    status: int = 0
    """Answered instead of asking the server; 0 to ask it."""
    body: bytes = b""
    loses_answer: bool = False
    """The server does as it is asked, and its answer is lost."""
    damages_body: bool = False


@dataclass
class FaultyClient:
    """Sends requests by a real client, except for faults.

    Args:
        client: the real one; None where a fault answers each request.
    """

    client: OriginClient | None = None
    faults: list[Fault] = field(default_factory=list)
    sent: list[OriginRequest] = field(default_factory=list)

    def get(
        self, url: Url, fields: Mapping[str, str], *, redirects: int = 0
    ) -> AbstractAsyncContextManager[OriginResponse]:
        """Send a GET, unless a fault matches."""
        return self.send(OriginRequest("GET", url, fields), redirects=redirects)

    @asynccontextmanager
    async def send(self, request: OriginRequest, *, redirects: int = 0) -> AsyncIterator[OriginResponse]:
        """Send a request, unless a fault matches."""
        self.sent.append(replace(request, content=bytes(request.content)))
        fault = next((each for each in self.faults if each.times and each.match(request)), None)
        if fault is not None:
            fault.times -= 1
            if fault.status:
                yield OriginResponse(fault.status, {}, _blocks(fault.body))
                return
            if fault.damages_body:
                request = replace(request, content=bytes([request.content[0] ^ 1]) + bytes(request.content[1:]))
        assert self.client is not None  # noqa: S101 - a test gives one, or a fault for each request
        async with self.client.send(request, redirects=redirects) as answer:
            if fault is not None and fault.loses_answer:
                raise OriginInterruptedError("the answer is lost")
            yield answer


async def _blocks(data: bytes) -> AsyncIterator[bytes]:
    yield data


def anything(_request: OriginRequest) -> bool:
    """Match each request."""
    return True


def completes(request: OriginRequest) -> bool:
    """Match the completion of a multipart upload."""
    return request.method == "POST" and "uploadId=" in request.url.target


def sends_part(request: OriginRequest) -> bool:
    """Match a part of a multipart upload."""
    return request.method == "PUT" and "partNumber=" in request.url.target


def aborts(request: OriginRequest) -> bool:
    """Match the end of a multipart upload that is given up."""
    return request.method == "DELETE" and "uploadId=" in request.url.target
