"""`marquee dead-letters` asks the admin API, and prints what it answers."""

from __future__ import annotations

import argparse
import json

import httpx
import pytest

from apps.marquee import dead_letters
from kit.settings import SettingsError

LETTER = {
    "id": "thumbnailer.jobs:1",
    "type": "video.uploaded",
    "died_at": "2026-11-30T10:00:00Z",
    "attempts": 6,
    "reason": "StoreUnavailableError: away",
}


class Api:
    """Answers like catalog, and records what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.client = httpx.Client(transport=httpx.MockTransport(self._answer), base_url="http://marquee")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.method, request.url.raw_path.decode(), request.content.decode()))
        if request.url.path.endswith("absent"):
            error = {"code": "CONTENT_NOT_FOUND", "message": "There is no such thing here.", "details": {}}
            return httpx.Response(404, json={"error": error})
        if request.method == "POST":
            return httpx.Response(200, json={"replayed": 2})
        return httpx.Response(200, json={"items": [LETTER]} if request.url.path.endswith("letters") else LETTER)

    def run(self, *arguments: str) -> None:
        parser = argparse.ArgumentParser()
        dead_letters.add_command(parser)
        dead_letters.run(self.client, parser.parse_args(arguments))


def test_list_shows_each_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    api = Api()
    api.run("list", "--queue", "thumbnailer.jobs", "--limit", "5")
    assert api.asked == [("GET", "/api/admin/dead-letters?limit=5&subscription=thumbnailer.jobs", "")]
    printed = capsys.readouterr().out
    assert "thumbnailer.jobs:1  video.uploaded  2026-11-30T10:00:00  attempts 6" in printed
    assert "StoreUnavailableError: away" in printed


def test_json_is_what_the_api_answered(capsys: pytest.CaptureFixture[str]) -> None:
    api = Api()
    api.run("list", "--json")
    assert json.loads(capsys.readouterr().out) == [LETTER]
    api.run("show", "thumbnailer.jobs:1", "--json")
    assert json.loads(capsys.readouterr().out) == LETTER


def test_replay_takes_ids_or_a_queue(capsys: pytest.CaptureFixture[str]) -> None:
    api = Api()
    api.run("replay", "thumbnailer.jobs:1")
    api.run("replay", "--queue", "thumbnailer.jobs")
    assert [(method, path) for method, path, _ in api.asked] == [
        ("POST", "/api/admin/dead-letters/thumbnailer.jobs:1/replay"),
        ("POST", "/api/admin/dead-letters/replay"),
    ]
    assert "2 events were handed back to thumbnailer.jobs." in capsys.readouterr().out
    for arguments in ([], ["thumbnailer.jobs:1", "--queue", "thumbnailer.jobs"]):
        with pytest.raises(SettingsError, match="Name the dead letters"):
            api.run("replay", *arguments)


def test_refusals_become_a_message() -> None:
    with pytest.raises(SettingsError, match="There is no such thing here"):
        Api().run("show", "absent")
