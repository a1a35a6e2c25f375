"""Check, before anything is timed, that each server sends the right bytes."""

from __future__ import annotations

import http.client
import os

from loadtest.bench.media import MediaFile
from loadtest.bench.peers import Peer
from loadtest.bench.wire import Span, random_spans, span

_SEED = 20
_TIMEOUT_SEC = 20


class WrongBytesError(Exception):
    """A server does not send the file's bytes, so that its speed would mean nothing."""


def spans_of(size: int) -> list[Span]:
    """Return ranges to check in a file of `size` bytes: random ones of several lengths, and the borders."""
    random = [one for length in (1, 64 << 10, 1 << 20) for one in random_spans(size, length, 6, _SEED)]
    return [*random, span(0, 2), span(size - 1, 1), *(span(size - left, left, is_open=True) for left in (1, 70_000))]


def check(peer: Peer, file: MediaFile) -> int:
    """Compare ranges from a server with the file; return how many bytes were compared.

    Raises:
        WrongBytesError: the bytes differ, or the status or headers are wrong.
    """
    target = peer.target(file)
    headers = {"Authorization": target.authorizations[0]} if target.authorizations else {}
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=_TIMEOUT_SEC)
    compared = 0
    source = os.open(peer.place.media.root / file.reference, os.O_RDONLY)
    try:
        for one in spans_of(file.size):
            asked = "bytes=" + one.ending.decode().strip()
            connection.request("GET", target.path, headers={**headers, "Range": asked})
            answer = connection.getresponse()
            body = answer.read()
            named = f"bytes {one.first}-{one.first + one.length - 1}/{file.size}"
            if answer.status != 206 or answer.headers["Content-Range"] != named:  # noqa: PLR2004 - RFC 9110, 15.3.7
                raise WrongBytesError(f"{peer.name}, {asked}: {answer.status}, {answer.headers['Content-Range']}")
            if body != os.pread(source, one.length, one.first):
                raise WrongBytesError(f"{peer.name}, {asked}: these are not the file's bytes")
            compared += len(body)
    except (OSError, http.client.HTTPException) as error:
        raise WrongBytesError(f"{peer.name}: {error!r}") from error
    finally:
        os.close(source)
        connection.close()
    return compared
