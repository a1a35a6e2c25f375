"""Boundaries between parts of the code. That each service needs only its own dependencies is shown in test_locks.py."""

from __future__ import annotations

import re

from tests.stacks.base import REPOSITORY


def test_only_the_database_commits() -> None:
    guilty = [
        str(path.relative_to(REPOSITORY))
        for folder in ("services", "libs/kit", "apps")
        for path in (REPOSITORY / folder).rglob("*.py")
        if "tests" not in path.parts
        and "testing" not in path.parts
        and "bus" not in path.parts
        and re.search(r"\.commit\(|\bsession\.begin\(", path.read_text())
    ]
    assert guilty == ["libs/kit/db/database.py"]


def test_sql_is_in_repositories() -> None:
    guilty = [
        str(path.relative_to(REPOSITORY))
        for path in (REPOSITORY / "services").rglob("*.py")
        if not {"tests", "migrations", "repository", "models"} & set(path.parts)
        and path.name not in ("repository.py", "models.py")
        # What a Redis pipeline executes is no SQL.
        and re.search(r"from sqlalchemy(?!\.exc)|(?<!\bpipeline)\.execute\(", path.read_text())
    ]
    assert guilty == []
