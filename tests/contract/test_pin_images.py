"""`scripts/pin-images`, with a docker client that answers what a registry would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.stacks.base import REPOSITORY

FIRST, SECOND = "sha256:" + "1" * 64, "sha256:" + "2" * 64
DOCKER = """#!/bin/sh
[ "$1" = pull ] && [ "$3" != "$UNKNOWN" ] && exit 0
[ "$1" = image ] && { [ "$5" = "$LOCAL" ] || echo "${5%%:*}@$DIGEST"; exit 0; }
exit 1
"""


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """A folder with the script, and the .env of an installation in it."""
    for name in ("scripts/pin-images", "scripts/set-env", ".env.example"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    path = tmp_path / ".env"
    path.write_text(
        "POSTGRES_IMAGE=mirror.example/postgres:17.2\n#POSTGRES_IMAGE=postgres:17\nREDIS_PASSWORD=pass=word\n"
    )
    return path


def pin(env: Path, **answers: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{env.parent / 'bin'}:{os.environ['PATH']}", "DIGEST": FIRST} | answers
    script = env.parent / "scripts" / "pin-images"
    return subprocess.run([script], env=environment, capture_output=True, text=True, check=False, timeout=60)


def images(env: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z]+_IMAGE)=(.*)$", env.read_text(), re.MULTILINE))


def test_every_image_that_others_make_is_pinned(env: Path) -> None:
    assert pin(env).returncode == 0
    used: set[str] = set()
    for file in ("docker-compose.yml", "deploy/compose/tls.yml"):
        used |= set(re.findall(r"\$\{([A-Z]+_IMAGE):-", (REPOSITORY / file).read_text()))
    assert images(env).keys() == used
    assert all(re.fullmatch(rf"[a-z./-]+:[0-9][^@]*@{FIRST}", image) for image in images(env).values())
    assert images(env)["POSTGRES_IMAGE"] == f"mirror.example/postgres:17.2@{FIRST}"
    assert "REDIS_PASSWORD=pass=word" in env.read_text().splitlines()


def test_tags_are_looked_up_again(env: Path) -> None:
    pin(env)
    assert pin(env, DIGEST=SECOND).returncode == 0
    assert images(env)["REDIS_IMAGE"] == f"redis:8@{SECOND}"


@pytest.mark.parametrize(("answer", "said"), [("UNKNOWN", "can't be pulled"), ("LOCAL", "has no digest")])
def test_nothing_changes_unless_all_can_be_pinned(env: Path, answer: str, said: str) -> None:
    before = env.read_text()
    refused = pin(env, **{answer: "redis:8"})
    assert refused.returncode == 1
    assert f"REDIS_IMAGE: redis:8 {said}" in refused.stderr
    assert env.read_text() == before
