"""What shares a stack runs in one process: a stack that starts twice takes the machine from every other test."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.scheduling import scope_of
from tests.stacks.base import REPOSITORY


@pytest.mark.parametrize(
    ("test", "scope"),
    [
        ("tests/e2e/test_api.py::test_search[compose]", "compose"),
        ("tests/e2e/test_replicas.py::test_replicas_go_away_one_after_the_other[15-compose]", "compose"),
        ("tests/e2e/test_http.py::test_downloader_logs_in_by_its_url[embedded-wget]", "tests/e2e/test_http.py"),
        ("tests/e2e/test_site.py::test_keys", "tests/e2e/test_site.py"),
        ("tests/contract/test_locks.py::test_every_lock_has_a_purpose", "tests/contract/test_locks.py"),
        ("tests/contract/test_http_files.py::test_every_variable[services]", "tests/contract/test_http_files.py"),
    ],
)
def test_tests_of_one_stack_have_one_scope(test: str, scope: str) -> None:
    assert scope_of(test) == scope


def test_a_parallel_run_keeps_scopes_together() -> None:
    command = [sys.executable, "-m", "pytest", "-n", "2", "-v", "tests/contract/test_scheduling.py"]
    chosen = ["-k", "one_scope"]
    done = subprocess.run([*command, *chosen], cwd=REPOSITORY, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    workers = {line.split()[0] for line in done.stdout.splitlines() if " PASSED " in line}
    assert len(workers) == 1
