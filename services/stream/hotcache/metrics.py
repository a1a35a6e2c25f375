"""Prometheus metrics of the hot cache."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

REQUESTS = Counter("stream_hot_cache_requests_total", "Openings of films, by whether there was a hot copy.", ["result"])
PROMOTED = Counter("stream_hot_cache_promoted_total", "Films that were copied to the hot cache.")
EVICTED = Counter("stream_hot_cache_evicted_total", "Hot copies that had to make room.")
DROPPED = Counter("stream_hot_cache_dropped_total", "Hot copies whose original changed or is gone.", ["reason"])
FAILED = Counter("stream_hot_cache_failed_total", "Copies that were begun and not finished.")
BYTES = Gauge(
    "stream_hot_cache_bytes",
    "What the hot cache's folder holds. Replicas that share a folder report the same value: take the maximum.",
    multiprocess_mode="livemax",
)
BUDGET = Gauge("stream_hot_cache_budget_bytes", "What it may hold; 0 where there is none.", multiprocess_mode="livemax")
