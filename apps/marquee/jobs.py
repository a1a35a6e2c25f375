"""Follow a job of the running Marquee to its end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx

from kit.settings import SettingsError

_LOOK_EVERY_SEC = 1.0
_LIMITED_SEC = 5.0
_PAGE = 100
LISTED = 500
"""Lines of a report that are fetched of each outcome: the API has all of them."""


def await_end(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """Show how far a job is, on a terminal, until it ends; return it.

    Raises:
        SettingsError: it failed or was stopped.
    """
    is_terminal, started = sys.stderr.isatty(), time.monotonic()
    while True:
        job = _get(client, f"/api/admin/jobs/{job_id}")
        if is_terminal:
            total = f" of {job['total']}" if job["total"] is not None else ""
            rate = job["done"] / max(time.monotonic() - started, 0.001)
            sys.stderr.write(f"\r{job['status']}: {job['done']}{total} files, {rate:.0f} a second ")
        if job["status"] not in {"queued", "running"}:
            break
        time.sleep(_LOOK_EVERY_SEC)
    if is_terminal:
        sys.stderr.write("\n")
    if job["status"] != "finished":
        raise SettingsError(f"The job {job_id} is {job['status']}: {job['error'] or 'by an administrator'}.")
    return job


def results(client: httpx.Client, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the lines of a job's report; of each outcome the first `LISTED`."""
    for outcome, count in sorted(job["counts"].items()):
        for page in range(min(-(-count // _PAGE), LISTED // _PAGE) if outcome != "unchanged" else 0):
            path = f"/api/admin/jobs/{job['id']}/results?outcome={outcome}&page={page + 1}&page_size={_PAGE}"
            yield from _get(client, path)["items"]


def _get(client: httpx.Client, path: str) -> dict[str, Any]:
    while True:
        answer = client.get(path)
        if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
            break
        wait_sec = answer.headers.get("Retry-After", "")
        time.sleep(float(wait_sec) if wait_sec.isdigit() else _LIMITED_SEC)
    if answer.is_error:
        raise SettingsError(f"{path}: {answer.reason_phrase}")
    return dict(answer.json())
