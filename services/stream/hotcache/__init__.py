"""Tier 2: copies of the films that many watch, on a disk of this machine, in front of the store that has the originals.

`HotStore` is a `Store` that wraps another one. `Promoter` decides what is copied, `Keeper` removes what must go, and
`Folder` is the only one that knows how copies lie on the disk.
"""

from services.stream.hotcache.assembly import HotCache, hot_cache
from services.stream.hotcache.folder import Folder
from services.stream.hotcache.keeper import Keeper
from services.stream.hotcache.promoter import Promoter
from services.stream.hotcache.store import HotStore

__all__ = ["Folder", "HotCache", "HotStore", "Keeper", "Promoter", "hot_cache"]
