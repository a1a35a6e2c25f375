"""What keeps the services apart: each runs on its own dependencies, and commits happen in one place."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stacks.base import REPOSITORY
from tests.stacks.services import ORDER

UV = str(Path(sys.executable).with_name("uv"))


@pytest.mark.parametrize("service", ORDER)
def test_a_service_needs_only_its_own_dependencies(service: str, tmp_path: Path) -> None:
    """Its composition root is imported in an environment of its requirements file and nothing else."""
    environment = {
        **os.environ,
        "VIRTUAL_ENV": str(tmp_path / "venv"),
        "PYTHONPATH": ":".join(str(REPOSITORY / part) for part in ("", "libs", "libs/protos")),
    }
    requirements = str(REPOSITORY / "requirements" / f"{service}.txt")
    for command in (
        [UV, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv")],
        [UV, "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", requirements],
        [str(tmp_path / "venv" / "bin" / "python"), "-c", f"import services.{service}.__main__"],
    ):
        done = subprocess.run(command, env=environment, cwd=tmp_path, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


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
    assert guilty == ["libs/kit/db.py"]


def test_sql_is_in_repositories() -> None:
    guilty = [
        str(path.relative_to(REPOSITORY))
        for path in (REPOSITORY / "services").rglob("*.py")
        if not {"tests", "migrations"} & set(path.parts)
        and path.name not in ("repository.py", "models.py")
        # What a Redis pipeline executes is no SQL.
        and re.search(r"from sqlalchemy(?!\.exc)|(?<!\bpipeline)\.execute\(", path.read_text())
    ]
    assert guilty == []
