"""Cookies: two installations on one host, two cookies of one name, names of an earlier version."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from kit.auth.authentication import ACCESS_COOKIE
from kit.testing.databases import MigratedDatabases
from services.auth.http import REFRESH_COOKIE
from services.auth.tests.support import BROWSER, Auth, Clock, StartAuth, named, problem


@pytest.fixture
async def other(start_auth: StartAuth, migrated: MigratedDatabases, tmp_path: Path) -> AsyncIterator[Auth]:
    """Another installation at another port of the same host."""
    url = migrated.sqlite(tmp_path / "other.db")
    async with start_auth(database_url=url, signing_key_file=tmp_path / "other.json") as other:
        yield other


def sharing(there: Auth, client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Return a client of another installation with the same cookies: a browser keeps them by host, not by port."""
    browser = there.browser()
    browser._cookies = client._cookies
    return browser


async def me(client: httpx.AsyncClient) -> int:
    return (await client.get("/api/users/me")).status_code


async def test_installations_on_one_host_keep_separate_cookies(auth: Auth, other: Auth) -> None:
    here = auth.browser()
    there = sharing(other, here)
    for service, client in ((auth, here), (other, there)):
        assert (await service.log_in(client=client)).status_code == 200
    assert (await me(here), await me(there)) == (200, 200)
    for client in (here, there, here):
        assert (await client.post("/api/auth/refresh", headers=BROWSER)).status_code == 200
    assert (await me(here), await me(there)) == (200, 200)
    assert (await here.post("/api/auth/logout", headers=BROWSER)).status_code == 204
    assert (await me(here), await me(there)) == (401, 200)
    assert (await there.post("/api/auth/refresh", headers=BROWSER)).status_code == 200


async def test_cookies_of_another_installation_do_not_log_in(auth: Auth, other: Auth) -> None:
    client = auth.browser()
    await other.log_in(client=sharing(other, client))
    assert problem(await client.get("/api/users/me")) == (401, "AUTH_INVALID_TOKEN")
    assert problem(await client.post("/api/auth/refresh", headers=BROWSER)) == (401, "AUTH_INVALID_TOKEN")


async def test_cookie_names_survive_restarts_and_are_shared_by_replicas(auth: Auth, start_auth: StartAuth) -> None:
    await auth.log_in(client=auth.client)
    async with start_auth() as replica:
        await replica.log_in(client=replica.client)
        assert set(replica.client.cookies) == set(auth.client.cookies)


async def test_bare_cookie_names_still_work(auth: Auth) -> None:
    tokens = (await auth.log_in()).json()
    client = auth.browser()
    client.cookies.set(ACCESS_COOKIE, tokens["access_token"], domain="marquee.test")
    client.cookies.set(REFRESH_COOKIE, tokens["refresh_token"], domain="marquee.test", path="/api/auth")
    assert await me(client) == 200
    assert (await client.post("/api/auth/refresh", headers=BROWSER)).status_code == 200
    assert named(REFRESH_COOKIE, client.cookies)
    assert (await client.post("/api/auth/logout", headers=BROWSER)).status_code == 204
    assert not [name for name in client.cookies if name.startswith((ACCESS_COOKIE, REFRESH_COOKIE))]
    assert await me(client) == 401


async def test_both_of_two_cookies_with_one_name_are_tried(auth: Auth) -> None:
    tokens = (await auth.log_in(client=auth.client)).json()
    access = named(ACCESS_COOKIE, auth.client.cookies)
    refresh = named(REFRESH_COOKIE, auth.client.cookies)
    good = tokens["access_token"]
    for pair in (f"{access}=junk; {access}={good}", f"{access}={good}; {access}=junk"):
        assert (await auth.browser().get("/api/users/me", headers={"Cookie": pair})).status_code == 200
    headers = {"Cookie": f"{refresh}=junk; {refresh}={tokens['refresh_token']}", **BROWSER}
    assert (await auth.browser().post("/api/auth/refresh", headers=headers)).status_code == 200


async def test_used_token_beside_a_usable_one_ends_no_login_session(auth: Auth, clock: Clock) -> None:
    used = (await auth.log_in(client=auth.client)).json()["refresh_token"]
    good = (await auth.refresh(used)).json()["refresh_token"]
    name = named(REFRESH_COOKIE, auth.client.cookies)
    clock.advance(seconds=3_600)
    headers = {"Cookie": f"{name}={used}; {REFRESH_COOKIE}={good}", **BROWSER}
    assert (await auth.browser().post("/api/auth/refresh", headers=headers)).status_code == 200
