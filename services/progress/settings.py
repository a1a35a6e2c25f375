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
