"""What embedded mode keeps is for its own user only."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from apps.marquee.data_folder import create_private_files, open_data_folder
from kit.settings import SettingsError
from tests.stacks.base import REPOSITORY, wait_for
from tests.stacks.embedded import EmbeddedStack


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def open_files(data: Path) -> dict[str, str]:
    """Return databases and keys that other users could read or write, with their rights."""
    files = (path for path in data.iterdir() if path.is_file() and path.name != ".lock")
    return {path.name: oct(mode(path)) for path in files if mode(path) & 0o077}


def test_new_folder_and_databases_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        data = open_data_folder(tmp_path / "new" / "var")
        create_private_files(data, ["catalog.db"])
        with closing(sqlite3.connect(data / "catalog.db")) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE films (title TEXT)")
            assert (data / "catalog.db-wal").exists()
            assert open_files(data) == {}
    finally:
        os.umask(before)
    assert mode(data) == 0o700


def test_folder_of_earlier_version_is_made_private(tmp_path: Path) -> None:
    data = tmp_path / "var"
    data.mkdir(mode=0o755)
    elsewhere = tmp_path / "elsewhere.db"
    names = ("auth.db", "auth.db-wal", "auth.db-shm", "signing.json", "tickets.key", "notes.txt")
    for path in (elsewhere, *(data / name for name in names)):
        path.write_bytes(b"kept")
        path.chmod(0o644)
    (data / "link.db").symlink_to(elsewhere)
    assert open_data_folder(data) == data
    create_private_files(data, ["auth.db"])
    assert mode(data) == 0o700
    assert {name: mode(data / name) for name in names} == dict.fromkeys(names, 0o600) | {"notes.txt": 0o644}
    assert mode(elsewhere) == 0o644
    assert (data / "auth.db").read_bytes() == b"kept"


def test_folder_that_can_not_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="MARQUEE_DATA_DIR can't be used"):
        open_data_folder(tmp_path / "file" / "var")


def test_running_marquee_creates_only_private_files(tmp_path: Path) -> None:
    stack = EmbeddedStack(tmp_path)
    stack.data.mkdir(mode=0o755)
    (stack.data / "auth.db").touch(mode=0o644)
    stack.start()
    try:
        assert mode(stack.data) == 0o700
        assert open_files(stack.data) == {}
        assert {"auth.db", "bus.db", "signing.json", "tickets.key"} <= {path.name for path in stack.data.iterdir()}
    finally:
        stack.stop()


def test_databases_made_beforehand_keep_the_first_password_for_the_first_start(tmp_path: Path) -> None:
    stack = EmbeddedStack(tmp_path, {"MARQUEE_ADMIN_PASSWORD": ""})
    environment = os.environ | {"MARQUEE_DATA_DIR": str(stack.data), "MARQUEE_ADMIN_PASSWORD": ""}
    command = [sys.executable, "-m", "apps.marquee", "migrate"]
    subprocess.run(command, env=environment, cwd=REPOSITORY, check=True, timeout=120)
    assert mode(stack.data / "first-password") == 0o600
    stack.process.start()
    try:
        wait_for(lambda: "First login" in stack.process.output(), 120, "the first password")
        address = re.search(r"Marquee is ready: (http://\S+)", stack.process.output())
        shown = re.search(r"First login: (\S+)   password: (\S+)", stack.process.output())
        assert address is not None
        assert shown is not None
        body = {"login_id": shown[1], "password": shown[2]}
        assert httpx.post(f"{address[1]}/api/auth/login", json=body, timeout=60).status_code == 200
        wait_for(lambda: not (stack.data / "first-password").exists(), 60, "the file of the password to go")
    finally:
        stack.stop()
