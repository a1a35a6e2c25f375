"""Commands that talk to a running Marquee as any client would."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import sys
import tempfile
from pathlib import Path

import httpx

from apps.marquee import dead_letters, importing, jobs, uploading
from apps.marquee.demo import SampleError, make_samples
from kit.settings import SettingsError

_CONNECT_SEC = 10.0
_UPLOAD_TIMEOUT = httpx.Timeout(connect=_CONNECT_SEC, write=60.0, read=900.0, pool=None)
"""A dead line is noticed by what can't be written; the answer to the last byte may take as long as hashing the file."""


def run(arguments: argparse.Namespace) -> None:
    """Run `upload`, `import`, `demo`, `dead-letters` or `reprocess`.

    Raises:
        SettingsError: the command failed; the text says what to do.
    """
    with contextlib.closing(_connect(arguments)) as client:
        match arguments.command:
            case "demo":
                uploading.await_ready(client, _upload_samples(client))
            case "upload":
                client.timeout = _UPLOAD_TIMEOUT
                login = _checked(client.get("/api/users/me")).json()["login_id"]
                uploading.run(client, login, arguments)
            case "import":
                options = {"prune": arguments.prune, "rescan": arguments.rescan}
                importing.run(client, arguments.locations, options, as_json=arguments.json)
            case "dead-letters":
                dead_letters.run(client, arguments)
            case "reprocess":
                kinds = [("kind", kind) for kind in arguments.kind or ()]
                job = _checked(client.post("/api/videos/process", params=kinds)).json()
                _say(
                    f"Media information and artwork of {job['requested']} videos are being made again: job {job['id']}."
                )
                if arguments.wait:
                    jobs.await_end(client, job["id"])


def _upload_samples(client: httpx.Client) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="marquee-demo-") as folder:
        try:
            samples = make_samples(Path(folder), _say)
        except SampleError as error:
            raise SettingsError(str(error)) from error
        return [_upload(client, path, title, description) for path, title, description in samples]


def _connect(arguments: argparse.Namespace) -> httpx.Client:
    port = os.environ.get("MARQUEE_HTTP_PORT", "8080")
    url = arguments.url or os.environ.get("MARQUEE_URL") or f"http://127.0.0.1:{port}"
    login = arguments.login or os.environ.get("MARQUEE_ADMIN_LOGIN", "admin")
    password = arguments.password or os.environ.get("MARQUEE_ADMIN_PASSWORD")
    if not password:
        if not sys.stdin.isatty():
            raise SettingsError("MARQUEE_ADMIN_PASSWORD is not set; it is needed to log in.")
        password = getpass.getpass(f"Password of {login}: ")
    # No deadline for bodies: a film over a slow line takes its time.
    client = httpx.Client(base_url=url, auth=(login, password), timeout=httpx.Timeout(None, connect=_CONNECT_SEC))
    try:
        _checked(client.get("/api/users/me"))
    except httpx.HTTPError as error:
        raise SettingsError(f"{url} does not answer ({error}); start Marquee with `make run`.") from error
    return client


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_error:
        try:
            message = response.json()["error"]["message"]
        except (ValueError, KeyError):
            message = response.reason_phrase
        raise SettingsError(f"{response.request.method} {response.request.url.path}: {message}")
    return response


def _upload(client: httpx.Client, path: Path, title: str, description: str) -> str:
    with path.open("rb") as file:
        fields = {"title": title, "description": description}
        response = client.post("/api/videos", data=fields, files={"file": (path.name, file)})
    return str(_checked(response).json()["id"])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
