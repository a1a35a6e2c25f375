"""scripts/run-pytest forgives a test that fails once, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stacks.base import REPOSITORY

PARALLEL = ("-p", "xdist.plugin", "-n", "1")


class Project:
    """A folder of tests of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pytest.ini").write_text("[pytest]\n")

    def run(self, text: str, *arguments: str) -> tuple[int, str]:
        (self.folder / "test_it.py").write_text(text)
        done = subprocess.run(
            [str(REPOSITORY / "scripts" / "run-pytest"), "step", *arguments, "."],
            cwd=self.folder,
            # Without the plugins of the project's own tests it starts in a fraction of the time.
            env=os.environ
            | {
                "MARQUEE_TEST_RECORDS": str(self.folder / "records"),
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
            check=False,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


FLAKY = """
import pathlib, pytest
@pytest.mark.parametrize("value", ["a b", "x@y", "line\\nbreak", "[x::y]", "영화"])
def test_flaky(value):
    mark = pathlib.Path(__file__).parent / f"been-{value.encode().hex()}"
    if not mark.exists():
        mark.touch()
        raise AssertionError("the first time")
def test_fine():
    pass
"""


@pytest.mark.parametrize("options", [(), (*PARALLEL, "--dist", "loadscope")])
def test_what_passes_the_second_time_passes_and_is_named(project: Project, options: tuple[str, ...]) -> None:
    status, said = project.run(FLAKY, *options)
    assert status == 0, said
    assert "PASSED ONLY IN THEIR SECOND RUN" in said
    assert "test_it.py::test_flaky[a b]" in said.rpartition("SECOND RUN")[2]
    assert "5 passed" in said


def test_what_fails_twice_fails(project: Project) -> None:
    status, said = project.run("def test_broken():\n    assert False\ndef test_fine():\n    pass\n")
    assert status == 1, said
    assert "FAILED TWICE" in said


def test_what_passes_at_once_runs_once(project: Project) -> None:
    status, said = project.run("def test_fine():\n    pass\n")
    assert status == 0
    assert "SECOND RUN" not in said


@pytest.mark.parametrize(
    ("text", "options"),
    [
        pytest.param("", (), id="no tests"),
        pytest.param("", PARALLEL, id="no tests in parallel"),
        pytest.param("import nothing_of_the_kind\ndef test_fine(): pass\n", (), id="can't be imported"),
        pytest.param("import nothing_of_the_kind\ndef test_fine(): pass\n", PARALLEL, id="can't, in parallel"),
        pytest.param("def test_a(): assert False\ndef test_b(): import pytest; pytest.exit('x', 1)", (), id="exit"),
        pytest.param("".join(f"def test_{n}(): assert False\n" for n in range(41)), (), id="too many"),
    ],
)
def test_only_tests_get_a_second_chance(project: Project, text: str, options: tuple[str, ...]) -> None:
    status, said = project.run(text, *options)
    assert status != 0, said
    assert "once more" not in said


def test_a_worker_that_dies_fails_the_run_even_if_it_would_not_die_again(project: Project) -> None:
    text = (
        "import os, pathlib\ndef test_dies():\n    mark = pathlib.Path(__file__).with_name('been')\n"
        "    if not mark.exists():\n        mark.touch()\n        os._exit(9)\n"
    )
    status, said = project.run(text, *PARALLEL)
    assert status != 0, said
    assert "its process died" in said


def test_a_test_that_is_not_found_again_fails_the_run(project: Project) -> None:
    text = "import os, pytest\n@pytest.mark.parametrize('n', [os.getpid()])\ndef test_other(n): assert False\n"
    status, said = project.run(text)
    assert status != 0, said
    assert "FAILED TWICE" in said
