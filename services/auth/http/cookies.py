"""The cookies that auth sets: tokens, and the proof that a device has logged in before.

Their names end with the installation's name, because cookies are not separated by port: two installations on one host
would overwrite each other's. The bare names of earlier versions are still read, but no longer set.
"""

from __future__ import annotations

from fastapi import Request, Response

from kit.auth.authentication import ACCESS_COOKIE, cookies_of
from services.auth.service import Installation, TokenPair

REFRESH_COOKIE = "marquee_refresh"
DEVICE_COOKIE = "marquee_device"
REFRESH_PATH = "/api/auth"
_DEVICE_SEC = 400 * 86_400
"""The longest life that browsers give a cookie (RFC 6265bis, 5.5)."""
_PATHS = {ACCESS_COOKIE: "/", REFRESH_COOKIE: REFRESH_PATH, DEVICE_COOKIE: REFRESH_PATH}


class LoginCookies:
    """Read and set the cookies.

    Args:
        installation: gives their names and signs device cookies.
    """

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def set_tokens(self, pair: TokenPair, request: Request, response: Response) -> None:
        """Set both tokens."""
        self._set(ACCESS_COOKIE, pair.access_token, pair.access_ttl_sec, request, response)
        self._set(REFRESH_COOKIE, pair.refresh_token, pair.refresh_ttl_sec, request, response)

    def delete_tokens(self, request: Request, response: Response, *, bare_are_own: bool) -> None:
        """Delete both tokens. The device stays known, so that attackers can't lock its owner out.

        Args:
            request: the request.
            response: its response.
            bare_are_own: whether cookies with bare names belong to this installation, not to another one on the host.
        """
        for kind in (ACCESS_COOKIE, REFRESH_COOKIE):
            self._delete(self._name(kind), kind, request, response)
            if kind in request.cookies and (bare_are_own or self._name(kind) not in request.cookies):
                self._delete(kind, kind, request, response)

    def refresh_tokens(self, request: Request) -> list[str]:
        """Return the refresh tokens in a request's cookies, this installation's first."""
        own = request.cookies.get(self._name(REFRESH_COOKIE))
        return list(dict.fromkeys([*([own] if own else []), *cookies_of(request, REFRESH_COOKIE)]))

    def known_device(self, request: Request, login_id: str) -> str | None:
        """Return the id of the device if this login succeeded on it before; None otherwise."""
        return self._installation.known_device(cookies_of(request, DEVICE_COOKIE), login_id)

    def remember_login(self, login_id: str, request: Request, response: Response) -> None:
        """Set the device cookie so that the device is known for this login."""
        own = request.cookies.get(self._name(DEVICE_COOKIE))
        value = self._installation.remember_login([own] if own else [], login_id)
        self._set(DEVICE_COOKIE, value, _DEVICE_SEC, request, response)

    def _name(self, kind: str) -> str:
        return f"{kind}_{self._installation.name}"

    def _set(self, kind: str, value: str, life_sec: int, request: Request, response: Response) -> None:
        response.set_cookie(
            self._name(kind),
            value,
            max_age=life_sec,
            path=_PATHS[kind],
            httponly=True,
            samesite="strict",
            secure=_is_secure(request),
        )

    def _delete(self, name: str, kind: str, request: Request, response: Response) -> None:
        response.delete_cookie(name, path=_PATHS[kind], httponly=True, samesite="strict", secure=_is_secure(request))


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"
