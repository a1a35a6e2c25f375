"""Settings of catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from kit.origins import BucketMediaSettings, OriginSettings
from kit.settings import BrokerSettings, DatabaseSettings, ServiceSettings
from services.catalog.domain import Duplicates, ProtectedSource
from services.catalog.home.domain import RowKind, parse_rows
from services.catalog.titles.domain import parse_templates


class CatalogSettings(ServiceSettings, DatabaseSettings, BrokerSettings, BucketMediaSettings, OriginSettings):
    """The settings of catalog."""

    uploads: Literal["admin", "members"] = Field("admin", description="Who may upload videos.")
    upload_max_bytes: int = Field(
        100 * 2**30, ge=1, description="The largest upload taken, in bytes; 100 GiB by default."
    )
    upload_expiry_hours: int = Field(
        72, ge=1, le=8760, description="Hours after its last byte at which an unfinished upload is removed."
    )
    corporation_quota_bytes: int = Field(
        0,
        ge=0,
        description="Bytes that a corporation's uploaded videos may take, trash included; 0 for no limit.",
    )
    duplicates: Duplicates = Field(
        "allow",
        description="What happens to an upload whose bytes a video has already: `allow` marks the new video with "
        "`duplicate_of`, `refuse` answers `UPLOAD_CONFLICT` with the other's id.",
    )
    protected_source: ProtectedSource = Field(
        "remove",
        description="What happens to the uploaded file of a protected film once its pack is there: `remove`, or `keep` "
        "in the store, where nothing serves it, so that the film can be packed again. Imported films stay.",
    )
    trash_retention_days: int = Field(
        30, ge=1, le=36_500, description="Days after which what is in the trash is removed for good."
    )
    title_dictionary: Path | None = Field(
        None, description="A file of abbreviations for titles made of file names: one `ABBREVIATION = words` a line."
    )
    answers_max_bytes: int = Field(
        64 * 2**20,
        ge=0,
        description="Memory for answers of lists, searches and rows, which are kept until the catalogue changes.",
    )
    import_scan_hours: float = Field(
        0, ge=0, le=8760, description="Hours between scans of the folder of imported films; 0 for none."
    )
    stream_address: str = Field("127.0.0.1:50051", description="gRPC address of stream, for the health overview.")
    progress_address: str = Field("127.0.0.1:50051", description="gRPC address of progress: what is watched.")
    thumbnailer_address: str = Field(
        "127.0.0.1:50051", description="gRPC address of thumbnailer, for the health overview."
    )
    home_rows: str = Field(
        ",".join(RowKind),
        description="The rows of the home page, in their order; those that are not named are not shown.",
    )

    title_templates: dict[str, str] = Field(
        {
            "episode": "{series} S{season:02}E{episode:02}",
            "named-episode": "{series} S{season:02}E{episode:02}[ - {title}]",
            "best-hand": "[{series}: ]{players}[ - {category}][ ({pot})]",
        },
        description="Templates of titles by name, as a JSON object. Fields: series, season, episode, title, and of the "
        "highlight with the biggest pot category, highlight, players, pot. A part in square brackets is left out when "
        "a field of it is empty.",
    )

    @field_validator("title_templates")
    @classmethod
    def _holds_templates(cls, texts: dict[str, str]) -> dict[str, str]:
        parse_templates(texts)
        return texts

    @field_validator("home_rows")
    @classmethod
    def _names_rows(cls, text: str) -> str:
        parse_rows(text)
        return text
