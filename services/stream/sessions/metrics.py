"""Prometheus metrics of play sessions.

Gauges are of what this process serves: a session counts where it was served last, so that all replicas' values add up
to the platform's. What happens once to a session is counted by the replica that relays its events, so that it is
counted even if the replica that served it was killed.
"""

from __future__ import annotations

import prometheus_client

ACTIVE = prometheus_client.Gauge(
    "stream_active_count",
    "Play sessions that were served by this process last; they add up to the slots that are taken.",
    multiprocess_mode="livesum",
)
QUEUED = prometheus_client.Gauge(
    "stream_queued_count",
    "Viewers who wait for a slot and were last heard of here.",
    multiprocess_mode="livesum",
)
LIMIT = prometheus_client.Gauge(
    "stream_limit", "Slots of the whole platform, the same in every process.", multiprocess_mode="max"
)
HIT_RATE = prometheus_client.Gauge(
    "stream_cache_hit_rate",
    "Share, 0 to 1, of the sessions counted in stream_active_count that began from the hot copy; 0 without any.",
    multiprocess_mode="livemax",
)
STARTED = prometheus_client.Counter("stream", "Play sessions that got a slot, of all replicas, as this one relayed.")
ERRORS = prometheus_client.Counter("stream_errors", "Errors of play sessions, as this replica relayed.", ["code"])
SECONDS = prometheus_client.Summary(
    "stream_duration_seconds", "How long play sessions lasted, of all replicas, as this one relayed."
)
AVERAGE = prometheus_client.Gauge(
    "stream_avg_duration",
    "Seconds that the sessions counted in stream_active_count have lasted so far, on average.",
    multiprocess_mode="livemax",
)
REFUSED = prometheus_client.Counter(
    "stream_refused", "Sessions refused, by whose limit was reached, or `unavailable`.", ["scope"]
)
ACCEPTING_IN = prometheus_client.Gauge(
    "stream_accepting_in_seconds",
    "Seconds until new play sessions are granted; 0 unless Redis may have lost data.",
    multiprocess_mode="livemax",
)
