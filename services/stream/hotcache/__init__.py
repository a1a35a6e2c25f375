"""Tier 2: copies of popular assets on a local disk, in front of the store that has the originals.

`HotStore` is a `Store` that wraps another one. `Promoter` decides what is copied, `Janitor` removes what is stale, and
only `CopyDirectory` knows the layout of copies on the disk.
"""

from services.stream.hotcache.directory import CopyDirectory
from services.stream.hotcache.factory import HotCache, build_hot_cache
from services.stream.hotcache.janitor import Janitor
from services.stream.hotcache.promoter import Promoter
from services.stream.hotcache.store import HotStore

__all__ = ["CopyDirectory", "HotCache", "HotStore", "Janitor", "Promoter", "build_hot_cache"]
