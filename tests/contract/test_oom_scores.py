"""What lets the test engine run where root may not lower an OOM score: the probe, and the wrapper of runc."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.stacks.oom_scores import may_lower_oom_score, write_runc_wrapper


def test_probe_sees_a_write_that_fails(tmp_path: Path) -> None:
    """A write to /dev/full fails for root too, as the kernel refuses a score."""
    score = tmp_path / "oom_score_adj"
    score.touch()
    assert may_lower_oom_score(str(score))
    assert score.read_text() == "-500"
    assert not may_lower_oom_score("/dev/full")


def run_wrapper(folder: Path, config: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    write_runc_wrapper(folder / "wrapper")
    runc = folder / "runc"
    runc.write_text('#!/bin/sh\necho "$@"\n')
    runc.chmod(0o755)
    (folder / "config.json").write_text(config)
    path = os.pathsep.join([str(folder), os.environ["PATH"]])
    command = [str(folder / "wrapper"), *arguments]
    return subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("asked", "given"), [(-500, 0), (-1, 0), (0, 0), (300, 300)])
def test_wrapper_zeroes_only_negative_scores(tmp_path: Path, asked: int, given: int) -> None:
    config = {"process": {"oomScoreAdj": asked, "args": ["true"]}, "root": {"path": "rootfs"}}
    arguments = ["--log", "x", "create", "--bundle", str(tmp_path), "one"]
    done = run_wrapper(tmp_path, json.dumps(config), *arguments)
    assert done.stdout.split() == arguments
    config["process"]["oomScoreAdj"] = given  # type: ignore[index]
    assert json.loads((tmp_path / "config.json").read_text()) == config


def test_wrapper_leaves_other_commands_alone(tmp_path: Path) -> None:
    done = run_wrapper(tmp_path, '{"process": {"oomScoreAdj": -5}}', "kill", "one", "KILL")
    assert done.stdout.split() == ["kill", "one", "KILL"]
    assert "-5" in (tmp_path / "config.json").read_text()


def test_wrapper_fails_where_the_description_is_unreadable(tmp_path: Path) -> None:
    done = run_wrapper(tmp_path, "{", "create", "--bundle", str(tmp_path), "one")
    assert done.returncode != 0
    assert done.stdout == ""
    assert (tmp_path / "config.json").read_text() == "{", "nothing was written over it"
