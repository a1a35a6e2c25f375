"""Lines and branches that a test process ran are recorded, merged with those of others, and judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
REPORT = REPOSITORY / "scripts" / "report-coverage"
MEASURED = "libs/kit/errors/api_error.py"
TEST = """
def test_runs():
    from kit.errors.api_error import prefers_korean
    assert prefers_korean({header!r}) is {is_korean}
"""
HEADERS = {"ko": True, "en": False}


def record(folder: Path, tests: Path) -> None:
    """Run tests in a process of their own that leaves its record in `folder`."""
    plugins = ["-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "kit.testing.coverage_records"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, f"--coverage-records={folder}", str(tests)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": f"{REPOSITORY / 'libs'}:{REPOSITORY / 'libs' / 'protos'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def report(folder: Path, least: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(REPORT), str(folder), "--least", str(least)], capture_output=True, text=True, check=False
    )


def missing(folder: Path) -> list[set[int]]:
    """Return the lines of the measured file that each process did not run."""
    records = [json.loads(path.read_text())["files"][MEASURED] for path in sorted(folder.glob("*.json"))]
    return [set(each["missing_lines"]) for each in records]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coverage")
    for header, is_korean in HEADERS.items():
        path = folder / f"test_{header}.py"
        path.write_text(TEST.format(header=header, is_korean=is_korean))
        record(folder / "records", path)
    return folder / "records"


def test_each_process_records_what_it_ran(records: Path) -> None:
    lines = (REPOSITORY / MEASURED).read_text().splitlines()
    loop = next(number for number, line in enumerate(lines, 1) if "item.strip().partition" in line)
    refusal = next(number for number, line in enumerate(lines, 1) if "is not an error code" in line)
    for not_run in missing(records):
        assert loop not in not_run
        assert refusal in not_run


def test_files_that_no_test_imported_count_as_not_run(records: Path) -> None:
    (path, *_) = sorted(records.glob("*.json"))
    files = json.loads(path.read_text())["files"]
    unseen = [name for name, each in files.items() if not each["executed_lines"] and each["missing_lines"]]
    assert any(name.startswith("services/catalog/") for name in unseen)
    assert not [name for name in files if "/tests/" in name or "/kit/testing/" in name or "/versions/" in name]


def test_share_below_the_least_fails(records: Path) -> None:
    done = report(records, 90)
    assert done.returncode == 1
    assert MEASURED in done.stdout, "files with lines that were not run are listed"
    assert "the least is 90 %" in done.stdout


def test_share_above_the_least_passes(records: Path) -> None:
    assert report(records, 0.1).returncode == 0


def test_no_record_is_an_error(tmp_path: Path) -> None:
    done = report(tmp_path, 0)
    assert (done.returncode, "no record" in done.stderr) == (2, True)
