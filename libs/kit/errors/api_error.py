"""The exception that becomes an error answer, over HTTP and gRPC alike."""

from __future__ import annotations

from typing import Any, Final

from kit.errors.codes import ErrorCode

BEARER: Final = 'Bearer realm="marquee"'
"""The challenge (RFC 9110, 11.6.1) that every 401 has."""


class ApiError(Exception):
    """An error answer that was chosen on purpose.

    Args:
        code: the error code; a string that is no code raises ValueError here instead of answering 500 later.
        message: replaces the code's own message, in English, where the general one does not help.
        details: data for programs.
        headers: HTTP headers of the answer.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str | None = None,
        *,
        details: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        checked = ErrorCode.parse(code)
        if checked is None:
            raise ValueError(f"{code!r} is not an error code")
        super().__init__(message or checked)
        self.code: Final = checked
        self.message = message
        self.details = details or {}
        self.headers = headers or {}
        self.challenges: tuple[str, ...] = (BEARER,)
        """Challenges of a 401, each sent in its own `WWW-Authenticate` line: FFmpeg reads only how a line begins."""

    @property
    def dependency(self) -> str | None:
        """Return the name of what did not answer, or is full; None for other errors."""
        name = self.details.get("dependency")
        return str(name) if name else None

    def log_fields(self) -> dict[str, str]:
        """Return what a line of the log about a request should have of it."""
        return {"code": self.code.value} | ({"dependency": self.dependency} if self.dependency else {})

    @property
    def is_expected(self) -> bool:
        """Return whether it happens without a fault of Marquee's, and passes: see `kit.telemetry`."""
        return self.code in {ErrorCode.SERVICE_UNAVAILABLE, ErrorCode.STORAGE_FULL}

    def body(self, accept_language: str = "") -> dict[str, Any]:
        """Return the JSON body, with the message in the language preferred by `accept_language` (RFC 9110, 12.5.4)."""
        message = self.message or (self.code.ko if prefers_korean(accept_language) else self.code.en)
        return {"error": {"code": self.code, "message": message, "details": self.details}}


def invalid_field(field: str, problem: str) -> ApiError:
    """Return the VALIDATION_FAILED that names one field, in the shape that malformed requests get.

    Args:
        field: name of the field as the client sent it.
        problem: what is wrong with it, in English.
    """
    return ApiError(ErrorCode.VALIDATION_FAILED, details={"fields": [{"field": field, "problem": problem}]})


def service_unavailable(dependency: str, *, retry_after_sec: int) -> ApiError:
    """Return the SERVICE_UNAVAILABLE that names the dependency that did not answer.

    Args:
        dependency: a service (`catalog`) or what it stores in (`redis`).
        retry_after_sec: seconds after which the client may try again.
    """
    return ApiError(
        ErrorCode.SERVICE_UNAVAILABLE,
        details={"dependency": dependency},
        headers={"Retry-After": str(retry_after_sec)},
    )


def prefers_korean(accept_language: str) -> bool:
    """Return whether Korean is preferred to English in an `Accept-Language` header; False when neither is named."""
    weights: dict[str, float] = {}
    for item in accept_language[:200].split(","):
        tag, _, parameters = item.strip().partition(";")
        name, _, value = parameters.strip().partition("=")
        try:
            weight = float(value) if name.strip().lower() == "q" else 1.0
        except ValueError:
            weight = 0.0
        primary = tag.strip().lower().partition("-")[0]
        weights[primary] = max(weight, weights.get(primary, 0.0))
    return weights.get("ko", 0.0) > weights.get("en", 0.0)
