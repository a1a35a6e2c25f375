"""Settings of progress."""

from __future__ import annotations

from pydantic import Field

from kit.settings import BrokerSettings, DatabaseSettings, ServiceSettings


class ProgressSettings(ServiceSettings, DatabaseSettings, BrokerSettings):
    """Settings of progress."""

    catalog_address: str = Field("127.0.0.1:50051", description="gRPC address of catalog.")
    points_per_view: int = Field(
        10, ge=0, le=1_000_000, description="Points that a user's first view of a video earns; 0 gives none."
    )
    co_watched_least: int = Field(
        5,
        ge=2,
        le=1_000_000,
        description="Viewers that must have watched two videos before one is recommended with the other: with few, a "
        "recommendation would tell what a single person watches.",
    )
    view_log_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Days for which lines of the view log (who watched what) are kept; 0 keeps them for ever. Points "
        "and counts that they earned stay; what viewers of a film also watched is known of these days only.",
    )
    watch_progress_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Days for which a viewer's position in a film is kept after it changed last; 0 keeps it for ever. "
        "What is removed is no longer part of the history, of home pages and of what viewers also watched.",
    )
    point_ledger_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Days for which the lines of a user's points are kept; 0 keeps them for ever. Older ones become "
        "one line with their sum, so that balances stay; a film watched again after that earns points again.",
    )
