"""Tier 1: what catalog answered about videos, cached in memory and, shared by all replicas, in Redis."""

from services.stream.sources.cache import Fetch, SharedSources, SourceCache
from services.stream.sources.redis import RedisSources

__all__ = ["Fetch", "RedisSources", "SharedSources", "SourceCache"]
