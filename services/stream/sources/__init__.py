"""Tier 1: what catalog knows of videos, asked for once and kept for a while, here and in Redis for all replicas."""

from services.stream.sources.cache import Fetch, SharedSources, SourceCache
from services.stream.sources.redis import RedisSources

__all__ = ["Fetch", "RedisSources", "SharedSources", "SourceCache"]
