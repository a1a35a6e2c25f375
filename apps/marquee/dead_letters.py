"""`marquee dead-letters`: look at events that were given up, and have them handled again."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import httpx

from kit.settings import SettingsError

_PATH = "/api/admin/dead-letters"


def add_command(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Add the actions of `marquee dead-letters`; return their parsers."""
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="list them, the oldest first")
    listing.add_argument("--queue", default=None, help="of this subscription only, such as thumbnailer.jobs")
    listing.add_argument("--limit", type=int, default=100, help="how many at most (default: 100)")
    showing = actions.add_parser("show", help="show one with its message")
    showing.add_argument("id", help="as `list` shows it")
    replaying = actions.add_parser("replay", help="hand some back to their queue")
    replaying.add_argument("ids", nargs="*", metavar="ID", help="as `list` shows them")
    replaying.add_argument("--queue", default=None, help="all of this subscription")
    for each in (listing, showing):
        each.add_argument("--json", action="store_true", help="print JSON, for scripts")
    return [listing, showing, replaying]


def run(client: httpx.Client, arguments: argparse.Namespace) -> None:
    """List, show or replay dead letters.

    Raises:
        SettingsError: the command failed; the text says why.
    """
    match arguments.action:
        case "list":
            query = {"limit": arguments.limit} | ({"subscription": arguments.queue} if arguments.queue else {})
            _list(_checked(client.get(_PATH, params=query)).json()["items"], as_json=arguments.json)
        case "show":
            _show(_checked(client.get(f"{_PATH}/{arguments.id}")).json(), as_json=arguments.json)
        case "replay":
            _replay(client, arguments.ids, arguments.queue)


def _list(letters: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        _say(json.dumps(letters, ensure_ascii=False))
        return
    for letter in letters:
        _say(f"{letter['id']}  {letter['type']}  {letter['died_at'][:19]}  attempts {letter['attempts']}")
        _say(f"    {letter['reason']}")
    _say(f"{len(letters)} dead letters." if letters else "No dead letters.")


def _show(letter: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        _say(json.dumps(letter, ensure_ascii=False))
        return
    for name, value in letter.items():
        _say(f"{name:14} {value}")


def _replay(client: httpx.Client, ids: list[str], queue: str | None) -> None:
    if bool(ids) == bool(queue):
        raise SettingsError("Name the dead letters to replay, or a queue with --queue.")
    if queue:
        answer = _checked(client.post(f"{_PATH}/replay", json={"subscription": queue}))
        _say(f"{answer.json()['replayed']} events were handed back to {queue}.")
    for each in ids:
        _checked(client.post(f"{_PATH}/{each}/replay"))
        _say(f"{each}: handed back")


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        try:
            error = answer.json()["error"]
            fields = error["details"].get("fields")
            message = f"{fields[0]['field']}: {fields[0]['problem']}" if fields else error["message"]
        except (ValueError, KeyError, IndexError):
            message = answer.reason_phrase
        raise SettingsError(f"{answer.request.url.path}: {message}")
    return answer


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
