"""Route each source to the store that its reference names."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping

from kit.media import InvalidReferenceError
from kit.origins import Imported, Object, Origins, Stored, Url, parse
from services.stream.domain import Source
from services.stream.settings import StreamSettings
from services.stream.storage.local import import_folder, own_folder
from services.stream.storage.port import Store, StoredFile
from services.stream.storage.remote import Presign, RemoteStore

ReferenceType = type[Stored] | type[Imported] | type[Object] | type[Url]


class StoreRouter:
    """A `storage.port.Store` that hands each source to one of several others.

    Args:
        own: the platform's own store, where uploads go.
        others: stores of imported films, by the type of their references.
    """

    def __init__(self, own: Store, others: Mapping[ReferenceType, Store]) -> None:
        self._own = own
        self._others = others

    async def open(self, source: Source) -> StoredFile:
        """Open the original.

        Raises:
            OSError: it is not there or not readable, or this service has no store for such references.
            InvalidReferenceError: no service writes such a reference.
        """
        reference = parse(source.reference)
        store = self._own if isinstance(reference, Stored) else self._others.get(type(reference))
        if store is None:
            raise OSError(errno.ENODEV, "MARQUEE_IMPORT_DIR is not set here")
        return await store.open(source)

    async def ping(self) -> None:
        """Raise OSError when the platform's own store can't be read: films elsewhere may be away one by one."""
        await self._own.ping()

    def close(self) -> None:
        """Close all stores."""
        for store in (self._own, *self._others.values()):
            store.close()


def build_store(settings: StreamSettings, origins: Origins) -> StoreRouter:
    """Return the stores that the settings name.

    Args:
        settings: of the service.
        origins: reads files on other machines.
    """
    presign = _presign(settings)
    remote = RemoteStore(origins.open, _elsewhere, presign)
    others: dict[ReferenceType, Store] = {Url: remote, Object: remote}
    if settings.import_dir is not None:
        others[Imported] = import_folder(settings.import_dir, settings.read_threads)
    bucket = settings.media_bucket
    if bucket is None:
        return StoreRouter(own_folder(settings.media_root, settings.read_threads), others)
    return StoreRouter(RemoteStore(origins.open, lambda source: bucket.below(source.reference), presign), others)


def is_mounted(settings: StreamSettings) -> Callable[[Source], bool]:
    """Return a predicate: whether a source's original is a file on this machine, or on a share that is mounted here.

    It holds for a hot copy of one, too: what is served must not depend on the tier that serves it.
    """
    kinds = (Imported,) if settings.media_bucket else (Imported, Stored)
    return lambda source: isinstance(parse(source.reference), kinds)


def _presign(settings: StreamSettings) -> Presign:
    endpoint, life_sec = settings.s3_endpoint(settings.s3_public_url), settings.s3_redirect_sec

    def presign(reference: Url | Object, content_type: str, saved_as: str | None) -> str | None:
        if not life_sec or not isinstance(reference, Object):
            return None
        # As when they go through this service: only the viewer's browser may keep them.
        query = {"response-content-type": content_type, "response-cache-control": "private, no-cache"}
        if saved_as is not None:
            query["response-content-disposition"] = saved_as
        return endpoint.presigned(reference, life_sec, query)

    return presign


def _elsewhere(source: Source) -> Url | Object:
    reference = parse(source.reference)
    if not isinstance(reference, Url | Object):
        raise InvalidReferenceError("not a file on another machine")
    return reference
