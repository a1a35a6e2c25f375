"""`marquee import`: register films where they are."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path

import httpx

from apps.marquee import jobs
from kit.settings import SettingsError

_WORDS = {"added": "imported", "renamed": "renamed, was"}
_ELSEWHERE = re.compile(r"(?:https?|s3)://", re.IGNORECASE)
_WAIT_SEC = 5.0


def run(client: httpx.Client, locations: Iterable[str], options: Mapping[str, bool], *, as_json: bool = False) -> None:
    """Register films one after another, and report the result of each. Folders are scanned by catalog.

    Args:
        client: of an administrator.
        options: of scans: `prune` and `rescan`.
        as_json: print the reports of scans as JSON.
        locations: addresses, objects in S3, and files or folders below `MARQUEE_IMPORT_DIR`; `-` reads more of them
            from standard input, one a line.

    Raises:
        SettingsError: some could not be registered.
    """
    refused = 0
    for location, is_folder in _expand(locations):
        if is_folder:
            refused += _scan(client, location, options, as_json=as_json)
            continue
        answer = _register(client, location)
        if answer.status_code == HTTPStatus.CREATED:
            _say(f"{location}: imported")
        elif answer.status_code == HTTPStatus.CONFLICT:
            _say(f"{location}: {_already_there(answer)}")
        else:
            refused += 1
            _say(f"{location}: {_reason(answer)}")
    if refused:
        raise SettingsError(f"{refused} could not be imported; the reasons are above.")


def _expand(locations: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Yield locations, each with whether it is a folder."""
    for each in locations:
        if each == "-":
            yield from _expand(line.rstrip("\r\n") for line in sys.stdin if line.strip())
        elif _ELSEWHERE.match(each):
            yield each, False
        else:
            yield _below(Path(each))


def _below(path: Path) -> tuple[str, bool]:
    """Return the location of a folder, or of one file, relative to `MARQUEE_IMPORT_DIR`."""
    import_dir = os.environ.get("MARQUEE_IMPORT_DIR")
    if not import_dir:
        raise SettingsError("MARQUEE_IMPORT_DIR is not set; it names the folder that films are served from.")
    root, path = Path(import_dir).resolve(), path.resolve()
    if not path.is_relative_to(root):
        raise SettingsError(f"{path} can't be imported: it is not below {root} (MARQUEE_IMPORT_DIR).")
    location = path.relative_to(root).as_posix()
    return ("" if location == "." else location), path.is_dir()


def _scan(client: httpx.Client, folder: str, options: Mapping[str, bool], *, as_json: bool) -> int:
    """Have a folder scanned and print the report; return how many files failed."""
    answer = client.post("/api/imports/scans", json={"folder": folder, **options})
    if answer.is_error:
        raise SettingsError(f"{folder or 'the folder'} can't be scanned: {_reason(answer)}")
    job = jobs.await_end(client, answer.json()["id"])
    results = list(jobs.results(client, job))
    if as_json:
        _say(json.dumps({"job": job, "results": results}, ensure_ascii=False))
    else:
        for result in results:
            detail = f": {result['detail']}" if result["detail"] else ""
            _say(f"{result['path']}: {_WORDS.get(result['outcome'], result['outcome'])}{detail}")
        _say(", ".join(f"{name} {count}" for name, count in sorted(job["counts"].items()) if count) or "nothing found")
    return int(job["counts"].get("failed", 0))


def _register(client: httpx.Client, location: str) -> httpx.Response:
    while True:
        answer = client.post("/api/imports", json={"location": location})
        if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:
            return answer
        # A long list meets the limit of requests a minute.
        wait_sec = answer.headers.get("Retry-After", "")
        time.sleep(float(wait_sec) if wait_sec.isdigit() else _WAIT_SEC)


def _already_there(answer: httpx.Response) -> str:
    details = answer.json()["error"]["details"]
    reason = details.get("failure_reason")
    return f"there already, failed: {reason}" if reason else "there already"


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
