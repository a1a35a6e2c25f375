"""Tier 2: copies of the films that many watch, on a disk of this machine, in front of the store that has the originals.

`HotStore` is a `Store` that wraps another one. `Promoter` decides what is copied, `Janitor` removes what must go, and
`CopyDirectory` is the only one that knows how copies lie on the disk.
"""

from services.stream.hotcache.directory import CopyDirectory
from services.stream.hotcache.factory import HotCache, hot_cache
from services.stream.hotcache.janitor import Janitor
from services.stream.hotcache.promoter import Promoter
from services.stream.hotcache.store import HotStore

__all__ = ["CopyDirectory", "HotCache", "HotStore", "Janitor", "Promoter", "hot_cache"]
