"""The description that comes with an upload, as fields of a form or as metadata of tus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kit.errors import invalid_field
from kit.ids import is_id
from services.catalog.domain import (
    LSV,
    MAX_DESCRIPTION_CHARS,
    MAX_TITLE_CHARS,
    clean_text,
    parse_tags,
)
from services.catalog.file_titles import TITLES


@dataclass(frozen=True, slots=True)
class UploadLabels:
    """The checked description of an upload."""

    title: str
    description: str
    tags: list[str]
    corporation_id: str | None
    """As the client asks for it; see `domain.owner_of_upload`."""
    protection: str
    """`domain.LSV`, or empty."""


def parse_labels(fields: Mapping[str, str], file_name: str) -> UploadLabels:
    """Return the description of an upload.

    Args:
        fields: `title`, `description`, `tags`, `corporation_id`, `protection`; others are ignored.
        file_name: gives the title when there is none.

    Raises:
        ApiError: VALIDATION_FAILED for a bad field.
    """
    corporation_id = fields.get("corporation_id", "")
    if corporation_id and not is_id(corporation_id):
        raise invalid_field("corporation_id", "must be the id of a corporation")
    protection = fields.get("protection", "")
    if protection not in ("", "none", LSV):
        raise invalid_field("protection", "must be none or lsv")
    try:
        tags = parse_tags(fields.get("tags", ""))
    except ValueError as error:
        raise invalid_field("tags", str(error)) from error
    description = fields.get("description", "").replace("\x00", "").strip()
    if len(description) > MAX_DESCRIPTION_CHARS:
        raise invalid_field("description", f"has at most {MAX_DESCRIPTION_CHARS} characters")
    title = clean_text(fields.get("title", ""), MAX_TITLE_CHARS) or TITLES.of(file_name)
    return UploadLabels(title, description, tags, corporation_id or None, LSV if protection == LSV else "")
