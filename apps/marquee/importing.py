"""`marquee import`: registers films where they lie."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path

import httpx

from kit.settings import SettingsError

FILMS = frozenset({".m4v", ".mkv", ".mov", ".mp4", ".webm"})
"""Endings of the files that are taken from a folder; a file that is named is taken whatever it is called."""
_ELSEWHERE = re.compile(r"(?:https?|s3)://", re.IGNORECASE)
_WAIT_SEC = 5.0


def run(client: httpx.Client, wanted: Iterable[str]) -> None:
    """Registers films, one after the other, and says what became of each.

    Args:
        client: of an administrator.
        wanted: addresses, objects in S3, and files or folders below `MARQUEE_IMPORT_DIR`; `-` reads more of them, one a
            line, from standard input.

    Raises:
        SettingsError: some could not be registered.
    """
    refused = 0
    for location in _locations(wanted):
        answer = _ask(client, location)
        if answer.status_code == HTTPStatus.CREATED:
            _say(f"{location}: imported")
        elif answer.status_code == HTTPStatus.CONFLICT:
            _say(f"{location}: there already")
        else:
            refused += 1
            _say(f"{location}: {_reason(answer)}")
    if refused:
        raise SettingsError(f"{refused} could not be imported; what is wrong with each is said above.")


def _locations(wanted: Iterable[str]) -> Iterator[str]:
    for each in wanted:
        if each == "-":
            yield from _locations(line.rstrip("\r\n") for line in sys.stdin if line.strip())
        elif _ELSEWHERE.match(each):
            yield each
        else:
            yield from _below(Path(each))


def _below(path: Path) -> Iterator[str]:
    """Films of a folder, or one that is named, as the platform calls them."""
    told = os.environ.get("MARQUEE_IMPORT_DIR")
    if not told:
        raise SettingsError("MARQUEE_IMPORT_DIR is not set; it names the folder that films are served from.")
    root, path = Path(told).resolve(), path.resolve()
    if not path.is_relative_to(root):
        raise SettingsError(f"{path} can't be imported: it is not below {root} (MARQUEE_IMPORT_DIR).")
    films = sorted(film for film in path.rglob("*") if film.suffix.lower() in FILMS) if path.is_dir() else [path]
    for film in films:
        yield film.relative_to(root).as_posix()


def _ask(client: httpx.Client, location: str) -> httpx.Response:
    while True:
        answer = client.post("/api/imports", json={"location": location})
        if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:
            return answer
        # A long list meets the limit of requests a minute: nobody is in a hurry.
        told = answer.headers.get("Retry-After", "")
        time.sleep(float(told) if told.isdigit() else _WAIT_SEC)


def _reason(answer: httpx.Response) -> str:
    try:
        error = answer.json()["error"]
        fields = error["details"].get("fields")
        return str(fields[0]["problem"] if fields else error["message"])
    except (ValueError, KeyError, IndexError):
        return answer.reason_phrase


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
