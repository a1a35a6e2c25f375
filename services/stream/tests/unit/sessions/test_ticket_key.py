"""The key's file: made once, the same for all who come."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kit.settings import SettingsError
from services.stream.sessions import ticket_key


def test_key_file_is_created_for_its_owner_only_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "tickets.key"
    key = ticket_key.load(path)
    assert len(key) == 32
    assert path.stat().st_mode & 0o077 == 0
    assert ticket_key.load(path) == key
    assert list(path.parent.iterdir()) == [path]


def test_replicas_that_start_together_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as replicas:
        keys = set(replicas.map(ticket_key.load, [tmp_path / "tickets.key"] * 8))
    assert len(keys) == 1


@pytest.mark.parametrize("content", ["", "short", "\N{SNOWMAN}" * 50])
def test_unusable_key_stops_the_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tickets.key"
    path.write_text(content)
    with pytest.raises(SettingsError, match="MARQUEE_TICKET_KEY_FILE"):
        ticket_key.load(path)


def test_accepts_key_made_by_openssl(tmp_path: Path) -> None:
    path = tmp_path / "tickets.key"
    path.write_text("+/+/" * 10 + "AAA=\n")
    assert len(ticket_key.load(path)) == 32
