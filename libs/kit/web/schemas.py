"""Parts of requests and responses that all services share: base models, pages, errors in the OpenAPI document."""

from __future__ import annotations

import re
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from kit.errors import ErrorCode

T = TypeVar("T")


class Schema(BaseModel):
    """Base of request bodies: unknown fields are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class View(BaseModel):
    """Base of response bodies."""

    model_config = ConfigDict(from_attributes=True)


class Page(View, Generic[T]):
    """One page of a list."""

    items: list[T]
    page: int
    page_size: int
    total: int


class CursorPage(Page[T], Generic[T]):
    """One page of a list that can be read to its end at the same cost a page."""

    next_cursor: str | None = Field(description="Where the next page begins; null on the last one.")


class ErrorDetail(View):
    """What went wrong."""

    code: str
    message: str
    details: dict[str, Any]


class ErrorBody(View):
    """Every error's body."""

    error: ErrorDetail


class Paging(BaseModel):
    """Which page of a list is asked for."""

    page: int
    page_size: int

    @property
    def offset(self) -> int:
        """Items before this page."""
        return (self.page - 1) * self.page_size


_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def _refuse_python_numbers(value: object) -> object:
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise ValueError("must be a number in decimal digits")
    return value


DECIMAL = BeforeValidator(_refuse_python_numbers)
"""Validator of numbers in text: ASCII digits, without the underscores and blanks that Python allows."""


# Asynchronous, as dependencies have to be: FastAPI calls others in a thread, which takes longer than they do.
async def paging(
    page: Annotated[int, DECIMAL, Query(ge=1, le=1_000_000)] = 1,
    page_size: Annotated[int, DECIMAL, Query(ge=1, le=100)] = 20,
) -> Paging:
    """Parse the paging parameters of a list."""
    return Paging(page=page, page_size=page_size)


Cursor = Annotated[
    str | None, Query(max_length=1500, description="`next_cursor` of the page before, instead of `page`.")
]
"""The parameter of a list that answers with a `CursorPage`."""


REFERENCE = "#/components/schemas/{model}"
"""How an OpenAPI document refers to one of its models."""
_ERROR_REFERENCE = {"$ref": REFERENCE.format(model=ErrorBody.__name__)}


def errors(*codes: ErrorCode) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of a route that can answer with these codes.

    They refer to `ErrorBody`, which `kit.web.app` adds to the document. A model here would be prepared for validation
    once for each route and status.
    """
    answers: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        status = code.http_status
        text = answers.get(status, {}).get("description")
        description = f"{text}, `{code}`" if text else f"`{code}`"
        answers[status] = {"description": description, "content": {"application/json": {"schema": _ERROR_REFERENCE}}}
    return answers
