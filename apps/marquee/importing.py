"""`marquee import`: register films where they are."""

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
"""Suffixes of the files that are taken from a folder; a file named on the command line needs none of them."""
_ELSEWHERE = re.compile(r"(?:https?|s3)://", re.IGNORECASE)
_WAIT_SEC = 5.0


def run(client: httpx.Client, locations: Iterable[str]) -> None:
    """Register films one after another, and report the result of each.

    Args:
        client: of an administrator.
        locations: addresses, objects in S3, and files or folders below `MARQUEE_IMPORT_DIR`; `-` reads more of them
            from standard input, one a line.

    Raises:
        SettingsError: some could not be registered.
    """
    refused = 0
    for location in _expand(locations):
        answer = _register(client, location)
        if answer.status_code == HTTPStatus.CREATED:
            _say(f"{location}: imported")
        elif answer.status_code == HTTPStatus.CONFLICT:
            _say(f"{location}: there already")
        else:
            refused += 1
            _say(f"{location}: {_reason(answer)}")
    if refused:
        raise SettingsError(f"{refused} could not be imported; the reasons are above.")


def _expand(locations: Iterable[str]) -> Iterator[str]:
    for each in locations:
        if each == "-":
            yield from _expand(line.rstrip("\r\n") for line in sys.stdin if line.strip())
        elif _ELSEWHERE.match(each):
            yield each
        else:
            yield from _below(Path(each))


def _below(path: Path) -> Iterator[str]:
    """Yield the locations of the films in a folder, or of one file, relative to `MARQUEE_IMPORT_DIR`."""
    import_dir = os.environ.get("MARQUEE_IMPORT_DIR")
    if not import_dir:
        raise SettingsError("MARQUEE_IMPORT_DIR is not set; it names the folder that films are served from.")
    root, path = Path(import_dir).resolve(), path.resolve()
    if not path.is_relative_to(root):
        raise SettingsError(f"{path} can't be imported: it is not below {root} (MARQUEE_IMPORT_DIR).")
    films = sorted(film for film in path.rglob("*") if film.suffix.lower() in FILMS) if path.is_dir() else [path]
    for film in films:
        yield film.relative_to(root).as_posix()


def _register(client: httpx.Client, location: str) -> httpx.Response:
    while True:
        answer = client.post("/api/imports", json={"location": location})
        if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:
            return answer
        # A long list meets the limit of requests a minute.
        wait_sec = answer.headers.get("Retry-After", "")
        time.sleep(float(wait_sec) if wait_sec.isdigit() else _WAIT_SEC)


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
