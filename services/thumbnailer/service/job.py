"""What is to be done for a film."""

from __future__ import annotations

from dataclasses import dataclass

from kit.events.envelope import Event
from kit.ids import derived_id
from services.thumbnailer.domain import JobKind


@dataclass(frozen=True, slots=True)
class Job:
    """Jobs for one film that are done in one run."""

    video_id: str
    reference: str
    kinds: tuple[JobKind, ...]
    pack_asset_id: str = ""
    """The asset that the film's pack becomes; empty unless it is to be protected."""
    content_version: int = 0
    """Of the pack."""
    present_pack_asset_id: str = ""
    """The asset of the pack that the reference is of; empty where it is a film's."""
    present_content_version: int = 0
    """Of that pack."""

    def folder(self, cause: Event, kind: JobKind) -> str:
        """Return the reference of the folder for the files of a job: the same if it runs twice, and no other's."""
        return f"videos/{self.video_id}/{kind.value}-{derived_id(cause.id, kind.value)}"
