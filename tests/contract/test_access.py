"""Every route for every kind of caller answers what `access.txt` says."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import jwt
import pytest

from apps.marquee.openapi import document
from kit.ids import new_id
from tests.e2e.client import Client, make_film
from tests.stacks.base import wait_for
from tests.stacks.embedded import EmbeddedStack

TABLE = Path(__file__).with_name("access.txt")
KINDS = ("anon", "pending", "suspended", "member", "other", "admin", "expired", "revoked")
PASSWORD = "a long enough password"
HEADERS = {"X-Requested-With": "marquee-tests"}
SETTINGS = {
    # Cheap hashes: they are not tested here.
    "MARQUEE_BCRYPT_COST": "4",
    "MARQUEE_REGISTRATION": "approval",
    "MARQUEE_UPLOADS": "admin",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    method: str
    path: str
    subject: str
    body: str
    expected: Mapping[str, int]
    """Statuses, by the kind of caller."""


def rows() -> list[Row]:
    """The table."""
    found = []
    for line in TABLE.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        method, path, subject, body, *statuses = line.split()
        expected = dict(zip(KINDS, map(int, statuses), strict=True))
        found.append(Row(method, path, subject, body, expected))
    return found


class Crowd:
    """A running Marquee, and one caller of each kind."""

    def __init__(self, stack: EmbeddedStack, film: Path) -> None:
        self._stack = stack
        self.http = httpx.Client(base_url=stack.base_url, timeout=60, headers=HEADERS)
        self.admin = Client(stack.base_url)
        self.acme, self.globex = (self._made("/api/corporations", name=name) for name in ("Acme", "Globex"))
        with film.open("rb") as file:
            answer = self.admin.http.post(
                "/api/videos", data={"corporation_id": self.acme}, files={"file": ("film.mp4", file)}
            )
        self.film = str(answer.json()["id"])
        self.admin.await_artwork(self.film)
        self._register("pending")
        suspended = self._made("/api/users", login_id="suspended", password=PASSWORD, display_name="S")
        assert self.admin.http.post(f"/api/users/{suspended}/suspend").status_code == 200
        member = self._member("member", self.acme)
        self.credentials: dict[str, dict[str, str]] = {
            "anon": {},
            "pending": _basic("pending"),
            "suspended": _basic("suspended"),
            "member": member,
            "other": self._member("other", self.globex),
            "admin": _bearer(self.admin.token),
            "expired": _bearer(self._expired(member)),
            "revoked": self._revoked("member"),
        }

    def spare(self, kind: str, number: int) -> dict[str, str]:
        """Credentials of another caller of that kind, whom nothing else needs."""
        match kind:
            case "member" | "other":
                return self._member(f"{kind}{number}", self.acme if kind == "member" else self.globex)
            case "admin":
                return _bearer(Client(self._stack.base_url).token)
            case _:
                return self.credentials[kind]

    def close(self) -> None:
        """Ends the connections."""
        self.admin.close()
        self.http.close()

    def _made(self, path: str, **body: object) -> str:
        answer = self.admin.http.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def _register(self, login: str) -> None:
        body = {"login_id": login, "password": PASSWORD, "display_name": login}
        assert self.http.post("/api/auth/register", json=body).json()["status"] == "pending"

    def _member(self, login: str, corporation_id: str) -> dict[str, str]:
        self._made("/api/users", login_id=login, password=PASSWORD, display_name=login, corporation_id=corporation_id)
        return self._logged_in(login)

    def _logged_in(self, login: str) -> dict[str, str]:
        # Without the client's cookies: only the token authenticates.
        answer = httpx.post(
            f"{self._stack.base_url}/api/auth/login", json={"login_id": login, "password": PASSWORD}, timeout=60
        )
        assert answer.status_code == 200, answer.text
        return _bearer(answer.json()["access_token"])

    def _revoked(self, login: str) -> dict[str, str]:
        """A token whose login was ended, once every service knows."""
        headers = self._logged_in(login)
        assert self.http.post("/api/auth/logout", headers=headers).status_code == 204

        def known_everywhere() -> bool:
            paths = ("/api/users/me", "/api/videos", "/api/play-sessions", "/api/users/me/points")
            return all(self.http.get(path, headers=headers).status_code == 401 for path in paths)

        wait_for(known_everywhere, 60, "every service to refuse the token")
        return headers

    def _expired(self, credentials: dict[str, str]) -> str:
        """The same token with its time over, under the true signature."""
        token = credentials["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, options={"verify_signature": False})
        header = jwt.get_unverified_header(token)
        keys = json.loads((self._stack.data / "signing.json").read_text())["keys"]
        key = jwt.PyJWK(next(key for key in keys if key["kid"] == header["kid"]), algorithm="EdDSA")
        now = int(time.time())
        claims |= {"iat": now - 2000, "exp": now - 1000}
        return jwt.encode(claims, key.key, algorithm="EdDSA", headers={"kid": header["kid"], "typ": header["typ"]})


def _basic(login: str) -> dict[str, str]:
    authorization = httpx.BasicAuth(login, PASSWORD)
    request = next(authorization.auth_flow(httpx.Request("GET", "http://unused")))
    return {"Authorization": request.headers["Authorization"]}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    """The platform with one caller of each kind."""
    folder = tmp_path_factory.mktemp("access")
    film = make_film(folder / "film.mp4")
    with EmbeddedStack(folder, SETTINGS) as stack:
        crowd = Crowd(stack, film)
        yield crowd
        crowd.close()


def test_every_route_is_in_the_access_table() -> None:
    documented = {(method.upper(), path) for path, operations in document()["paths"].items() for method in operations}
    listed = [(row.method, row.path) for row in rows()]
    missing = sorted(documented - set(listed))
    hint = "\n".join(f"{method} {path}" for method, path in missing)
    assert not missing, (
        f"Routes without an entry in the table of permissions:\n{hint}\n"
        "Add a line for each to tests/contract/access.txt: decide from the design who may call it, then check that the "
        "code agrees. Its first lines explain the columns."
    )
    assert set(listed) == documented, f"Lines without a route: {sorted(set(listed) - documented)}"
    assert len(listed) == len(set(listed)), "A route is there twice."


def test_every_caller_gets_status_of_the_table(crowd: Crowd) -> None:
    wrong = []
    for number, row in enumerate(rows()):
        for kind, expected in row.expected.items():
            answer = ask(crowd, row, kind, number)
            if answer.status_code != expected:
                wrong.append(
                    f"{row.method} {row.path} as {kind}: {answer.status_code}, not {expected}: {answer.text[:200]}"
                )
            elif answer.status_code >= 400 and row.method != "HEAD":
                assert set(answer.json()["error"]) == {"code", "message", "details"}
            if answer.status_code == 401:
                assert "WWW-Authenticate" in answer.headers, (row, kind)
    assert not wrong, "\n".join(wrong)


def ask(crowd: Crowd, row: Row, kind: str, number: int) -> httpx.Response:
    """The request of a line, by one of the callers."""
    credentials = crowd.spare(kind, number) if row.subject == "spare" else crowd.credentials[kind]
    subject = {"film": crowd.film, "acme": crowd.acme}.get(row.subject, new_id())
    path = row.path.replace("{number}", "0")
    placeholders = ("video_id", "user_id", "session_id", "corporation_id", "upload_id", "letter_id", "job_id")
    for placeholder in (*placeholders, "series_id", "highlight_id", "bookmark_id", "license_id", "kind"):
        path = path.replace(f"{{{placeholder}}}", subject)
    path = path.replace("{lang}", "ko")
    assert "{" not in path, f"tests/contract/test_access.py does not know what to put into {row.path}"
    body = None if row.body == "-" else json.loads(row.body.replace('"film"', f'"{crowd.film}"'))
    crowd.http.cookies.clear()
    return crowd.http.request(row.method, path, headers=credentials, json=body)
