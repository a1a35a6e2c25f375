"""Files on other machines, read over HTTP and S3 by range and written to S3. A guard stops request forgery (SSRF).

origins = Origins(settings)
file = await origins.open(parse("https://films.example/a.mp4"))
async for block in file.blocks(0, 1000): ...
"""

from __future__ import annotations

from functools import partial

from kit.origins.bucket import Bucket
from kit.origins.client import OriginClient
from kit.origins.errors import (
    OriginBlockedError,
    OriginChangedError,
    OriginDeniedError,
    OriginError,
    OriginFullError,
    OriginInterruptedError,
    OriginMissingError,
    OriginUnusableError,
)
from kit.origins.guard import Guard, Resolve
from kit.origins.references import Imported, Object, Reference, Stored, Url, parse
from kit.origins.remote import RemoteFile
from kit.origins.s3 import Endpoint, ObjectReader
from kit.origins.settings import BucketMediaSettings, OriginSettings

__all__ = [
    "Bucket",
    "BucketMediaSettings",
    "Endpoint",
    "Guard",
    "Imported",
    "Object",
    "OriginBlockedError",
    "OriginChangedError",
    "OriginClient",
    "OriginDeniedError",
    "OriginError",
    "OriginFullError",
    "OriginInterruptedError",
    "OriginMissingError",
    "OriginSettings",
    "OriginUnusableError",
    "Origins",
    "Reference",
    "RemoteFile",
    "Stored",
    "Url",
    "parse",
]


class Origins:
    """Opens files on other machines.

    Args:
        settings: settings; they name the permitted origins.
        resolve: resolves host names of origins; the system does by default.
        only_probes: files are opened, and hardly read.
    """

    def __init__(self, settings: OriginSettings, resolve: Resolve | None = None, *, only_probes: bool = False) -> None:
        self._http = OriginClient(settings.guard(), settings.remote_timeout_sec, resolve, only_probes=only_probes)
        # The operator named this host: it may be a private one.
        self._s3 = OriginClient(None, settings.remote_timeout_sec)
        self.endpoint = settings.s3_endpoint()
        self._objects = ObjectReader(self.endpoint, self._s3)

    async def open(self, reference: Url | Object) -> RemoteFile:
        """Open a file in its present state.

        Raises:
            OriginError: it can't be read or served; the subclass tells why.
        """
        reader = self._http.get if isinstance(reference, Url) else self._objects.get
        return await RemoteFile.open(partial(reader, reference))  # type: ignore[arg-type]

    def bucket(self, name: str) -> Bucket:
        """Return a bucket of the S3 endpoint, to be written; it shares this object's connections."""
        return Bucket(self.endpoint, name, self._s3)

    async def close(self) -> None:
        """Close all connections, also busy ones."""
        await self._http.close()
        await self._s3.close()
