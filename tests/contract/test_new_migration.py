"""`make migration`: a revision of a service's tables is written from its models."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.stacks.base import REPOSITORY

SCRIPT = REPOSITORY / "scripts" / "new-migration"
LATER_MODEL = """
import sqlalchemy as sa
rating = sa.Column("rating", sa.Integer, nullable=False, server_default="0")
Base.metadata.tables["videos"].append_column(rating, replace_existing=True)
environment("""


def new_migration(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, check=False)


def test_column_that_a_model_has_and_the_table_lacks_is_added(tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(REPOSITORY / "services" / "catalog" / "migrations", folder)
    environment = folder / "env.py"
    environment.write_text(environment.read_text().replace("\nenvironment(", LATER_MODEL))
    answer = new_migration("catalog", "add_rating", str(folder))
    assert answer.returncode == 0, answer.stderr
    (path,) = folder.glob("versions/*_add_rating.py")
    written = path.read_text()
    assert 'add_column(sa.Column("rating", sa.Integer(), server_default="0", nullable=False))' in written
    assert "###" not in written


@pytest.mark.parametrize("service", ["progress", "stream"])
def test_tables_are_what_models_say(service: str, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(REPOSITORY / "services" / service / "migrations", folder)
    answer = new_migration(service, "nothing", str(folder))
    assert answer.returncode == 0, answer.stderr
    (path,) = folder.glob("versions/*_nothing.py")
    assert "op." not in path.read_text()


@pytest.mark.parametrize("arguments", [[], ["catalog"], ["thumbnailer", "add_rating"], ["catalog", "Add rating"]])
def test_other_arguments_are_refused_with_the_usage(arguments: list[str]) -> None:
    answer = new_migration(*arguments)
    assert answer.returncode == 2
    assert "make migration SERVICE=catalog NAME=add_series" in answer.stderr
