"""The statements of lists: each reads in the order of an index, from where the page begins, however many there are.

They are kept, because to put one together costs more than to execute it. What differs between requests of one shape is
a parameter: `user_id`, `limit`, `offset`, `last` (of both the sum), and, behind a page, `after_key` and `after_id`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Executable,
    Integer,
    String,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    true,
    tuple_,
    union_all,
)

from services.catalog.domain import SORTS, Reach, search_words
from services.catalog.listing.criteria import MAX_TOTAL, Criteria
from services.catalog.models import Asset, Video, VideoTag
from services.catalog.repository.videos import in_reach, title_contains

_READY: Final = "ready"
_STATEMENTS: Final = 500
OWN: Final = "own"
"""The part of a list that each caller has alone: uploads that are not ready."""

_USER_ID: Final = bindparam("user_id", type_=String)
_AFTER_ID: Final = bindparam("after_id", type_=String)
_LIMIT, _OFFSET, _LAST = (bindparam(name, type_=Integer) for name in ("limit", "offset", "last"))


class Begin(Enum):
    """Where a page begins."""

    OFFSET = "offset"
    AFTER_VALUE = "after value"
    """Behind a video that has a value in the column of the order."""
    AFTER_NONE = "after none"
    """Behind a video that has none; those come last."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the statements of a list depend on."""

    reach: Reach
    criteria: Criteria
    looked_up: tuple[bool, ...]
    """For each of `memberships`, whether it is looked up for each video, instead of collecting those that have it."""
    is_sqlite: bool


@lru_cache(_STATEMENTS)
def scopes(reach: Reach) -> tuple[str, ...]:
    """Return the names of the parts of a list: all callers for whom a part has the same see the same, except `OWN`."""
    return tuple(_branches(reach))


@lru_cache(_STATEMENTS)
def page(shape: Shape, sort: str, begin: Begin) -> Executable:
    """Return the selection of id, version and value of the order of a page's videos."""
    column, _ = SORTS[sort]
    order = _order(sort, part_only=True, is_sqlite=shape.is_sqlite)
    parts = [
        select(Video.id).where(branch, part, *_wanted(shape)).order_by(*order).limit(_LAST).subquery()
        for branch in _branches(shape.reach).values()
        for part in _parts(column, sort, begin, is_sqlite=shape.is_sqlite)
    ]
    ids = union_all(*(select(part.c.id) for part in parts)).subquery()
    return (
        select(Video.id, Video.version, getattr(Video, column))
        .join(ids, ids.c.id == Video.id)
        .order_by(*_order(sort, is_sqlite=shape.is_sqlite))
        .offset(_OFFSET)
        .limit(_LIMIT)
    )


@lru_cache(_STATEMENTS)
def count(shape: Shape, counted: tuple[str, ...]) -> Executable:
    """Return the selection of the sizes of some parts of a list, up to `MAX_TOTAL` each."""
    branches = _branches(shape.reach)
    parts = [select(Video.id).where(branches[scope], *_wanted(shape)).limit(MAX_TOTAL).subquery() for scope in counted]
    return select(*(select(func.count()).select_from(part).scalar_subquery() for part in parts))


def memberships(criteria: Criteria) -> list[tuple[Any, ColumnElement[bool]]]:
    """Return the conditions on what videos have in other tables, each with the column there that names the video."""
    given: list[tuple[Any, ColumnElement[bool]]] = []
    if criteria.tag is not None:
        given.append((VideoTag.video_id, VideoTag.tag == criteria.tag))
    if criteria.min_height is not None:
        given.append((Asset.video_id, Asset.height >= criteria.min_height))
    if criteria.codec is not None:
        given.append((Asset.video_id, Asset.video_codec == criteria.codec))
    return given


def _wanted(shape: Shape) -> list[ColumnElement[bool]]:
    """Return the conditions of a list's criteria."""
    criteria = shape.criteria
    conditions = [title_contains(word) for word in search_words(criteria.query)]
    for column, value in (
        (Video.status, criteria.status),
        (Video.corporation_id, criteria.corporation_id),
        (Video.uploader_id, criteria.uploader_id),
    ):
        if value is not None:
            conditions.append(column == value)
    if criteria.min_duration_sec is not None:
        conditions.append(Video.duration_sec >= criteria.min_duration_sec)
    if criteria.max_duration_sec is not None:
        conditions.append(Video.duration_sec <= criteria.max_duration_sec)
    if criteria.created_from is not None:
        conditions.append(Video.created_at >= criteria.created_from)
    if criteria.created_to is not None:
        conditions.append(Video.created_at < criteria.created_to)
    for (video_id, condition), looked_up in zip(memberships(criteria), shape.looked_up, strict=True):
        has_it = (
            exists().where(video_id == Video.id, condition)
            if looked_up
            else Video.id.in_(select(video_id).where(condition))
        )
        conditions.append(has_it)
    return conditions


def _parts(column: str, sort: str, begin: Begin, *, is_sqlite: bool) -> Sequence[ColumnElement[bool]]:
    """Return the conditions by which a list is read in pieces, each in the order of an index: values, then none."""
    _, descending = SORTS[sort]
    behind = Video.id < _AFTER_ID if descending else Video.id > _AFTER_ID
    if column == "id":
        return [true() if begin is Begin.OFFSET else behind]
    key = _key(column, is_sqlite=is_sqlite)
    here, there = tuple_(key, Video.id), tuple_(bindparam("after_key", type_=key.type), _AFTER_ID)
    beyond = here < there if descending else here > there
    if column == "title":
        return [true() if begin is Begin.OFFSET else beyond]
    match begin:
        case Begin.OFFSET:
            return [key.is_not(None), key.is_(None)]
        case Begin.AFTER_VALUE:
            return [beyond, key.is_(None)]
        case Begin.AFTER_NONE:
            return [and_(key.is_(None), behind)]


def _order(sort: str, *, is_sqlite: bool, part_only: bool = False) -> list[ColumnElement[Any]]:
    column, descending = SORTS[sort]
    keys = [Video.id] if column == "id" else [_key(column, is_sqlite=is_sqlite), Video.id]
    order: list[ColumnElement[Any]] = [key.desc() if descending else key.asc() for key in keys]
    # Only a nullable column: on others it would keep PostgreSQL off the index.
    return [Video.duration_sec.is_(None), *order] if column == "duration_sec" and not part_only else order


def _key(column: str, *, is_sqlite: bool) -> Any:
    """Return what is sorted by. Titles by code point: alike on every database, whatever its locale."""
    key = getattr(Video, column)
    return key.collate("C") if column == "title" and not is_sqlite else key


def _branches(reach: Reach) -> dict[str, ColumnElement[bool]]:
    """Return `domain.may_see` as SQL in parts that exclude each other, each of which an index gives in order."""
    existing = Video.deleted_at.is_(None)
    if reach.is_admin:
        return {"everything": existing}
    ready = and_(existing, Video.status == _READY)
    branches = {"platform": and_(ready, Video.corporation_id.is_(None))}
    if reach.corporation_id:
        branches[f"of {reach.corporation_id}"] = and_(ready, Video.corporation_id == reach.corporation_id)
    own = and_(existing, Video.uploader_id == _USER_ID, or_(Video.status < _READY, Video.status > _READY))
    return branches | {OWN: and_(own, in_reach(reach))}
