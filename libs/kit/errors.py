"""The platform's vocabulary of errors: one stable code each, with its HTTP status, gRPC status and messages.

A code is part of the API: programs match on it, so it never changes its meaning. Messages are for people and follow
`Accept-Language`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import grpc


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """What a code stands for."""

    http_status: int
    grpc_status: grpc.StatusCode
    en: str
    ko: str


_G = grpc.StatusCode

CODES: Final[dict[str, ErrorCode]] = {
    "AUTH_INVALID_CREDENTIALS": ErrorCode(
        401, _G.UNAUTHENTICATED, "The login or the password is wrong.", "아이디 또는 비밀번호가 올바르지 않습니다."
    ),
    "AUTH_INVALID_TOKEN": ErrorCode(
        401, _G.UNAUTHENTICATED, "Log in first: no valid credentials came with the request.", "로그인이 필요합니다."
    ),
    "AUTH_TOKEN_EXPIRED": ErrorCode(
        401, _G.UNAUTHENTICATED, "This login has expired; log in again.", "로그인이 만료되었습니다. 다시 로그인하세요."
    ),
    "AUTH_USER_PENDING": ErrorCode(
        403, _G.PERMISSION_DENIED, "An administrator has yet to approve this account.", "승인 대기 중인 계정입니다."
    ),
    "AUTH_USER_SUSPENDED": ErrorCode(
        403, _G.PERMISSION_DENIED, "This account is suspended.", "이용이 정지된 계정입니다."
    ),
    "AUTH_FORBIDDEN": ErrorCode(403, _G.PERMISSION_DENIED, "You may not do this.", "권한이 없습니다."),
    "AUTH_REGISTRATION_CLOSED": ErrorCode(
        403, _G.PERMISSION_DENIED, "New accounts are made by an administrator.", "회원가입이 닫혀 있습니다."
    ),
    "AUTH_LOGIN_TAKEN": ErrorCode(
        409, _G.ALREADY_EXISTS, "Somebody already has this login.", "이미 사용 중인 아이디입니다."
    ),
    "AUTH_WRONG_PASSWORD": ErrorCode(
        403, _G.PERMISSION_DENIED, "The current password is wrong.", "현재 비밀번호가 올바르지 않습니다."
    ),
    "AUTH_RESET_CODE_INVALID": ErrorCode(
        403,
        _G.PERMISSION_DENIED,
        "This code is wrong, was used, or has expired; ask an administrator for another.",
        "코드가 올바르지 않거나 만료되었습니다. 관리자에게 다시 요청하세요.",
    ),
    "AUTH_LAST_ADMIN": ErrorCode(
        409,
        _G.FAILED_PRECONDITION,
        "This is the last active administrator; make another one first.",
        "마지막 관리자입니다. 먼저 다른 관리자를 지정하세요.",
    ),
    "CORPORATION_NAME_TAKEN": ErrorCode(
        409, _G.ALREADY_EXISTS, "A corporation has this name already.", "이미 사용 중인 법인 이름입니다."
    ),
    "CORPORATION_NOT_EMPTY": ErrorCode(
        409,
        _G.FAILED_PRECONDITION,
        "The corporation still has members; move them first.",
        "소속된 회원이 있습니다. 먼저 회원을 옮기세요.",
    ),
    "AUTH_RATE_LIMITED": ErrorCode(
        429,
        _G.RESOURCE_EXHAUSTED,
        "Too many attempts; wait a moment.",
        "시도가 너무 많습니다. 잠시 후 다시 시도하세요.",
    ),
    "CONTENT_NOT_FOUND": ErrorCode(404, _G.NOT_FOUND, "There is no such thing here.", "콘텐츠를 찾을 수 없습니다."),
    "CONTENT_NOT_READY": ErrorCode(
        409, _G.FAILED_PRECONDITION, "The video is not ready to be watched.", "아직 재생할 수 없는 영상입니다."
    ),
    "CONTENT_DELETED": ErrorCode(410, _G.NOT_FOUND, "The video is in the trash.", "휴지통에 있는 영상입니다."),
    "PLAN_REQUIRED": ErrorCode(
        402,
        _G.FAILED_PRECONDITION,
        "This needs a paid plan; the corporation has none, or it has expired.",
        "유료 요금제가 필요합니다. 법인의 요금제가 없거나 만료되었습니다.",
    ),
    "METHOD_NOT_ALLOWED": ErrorCode(
        405, _G.UNIMPLEMENTED, "This address does not answer that method.", "허용되지 않는 메서드입니다."
    ),
    "UPLOAD_INVALID_MEDIA": ErrorCode(
        422, _G.INVALID_ARGUMENT, "The upload is not what it should be.", "업로드 형식이 올바르지 않습니다."
    ),
    "UPLOAD_TOO_LARGE": ErrorCode(
        413, _G.RESOURCE_EXHAUSTED, "The upload is larger than allowed.", "업로드 용량 제한을 초과했습니다."
    ),
    "UPLOAD_CONFLICT": ErrorCode(
        409, _G.ALREADY_EXISTS, "This does not go with what is there already.", "이미 있는 내용과 충돌합니다."
    ),
    "STORAGE_FULL": ErrorCode(507, _G.RESOURCE_EXHAUSTED, "The media store is full.", "저장 공간이 부족합니다."),
    "STREAM_RANGE_INVALID": ErrorCode(
        416, _G.OUT_OF_RANGE, "The asked range lies outside the file.", "요청한 범위가 파일을 벗어났습니다."
    ),
    "STREAM_FILE_UNAVAILABLE": ErrorCode(
        503,
        _G.UNAVAILABLE,
        "The file can't be read now; check that the media store is mounted.",
        "파일을 읽을 수 없습니다. 저장소 연결을 확인하세요.",
    ),
    "STREAM_RATE_LIMITED": ErrorCode(
        429,
        _G.RESOURCE_EXHAUSTED,
        "The limit of streams is reached; stop one, or try again later.",
        "동시 재생 한도에 도달했습니다. 다른 재생을 중지하거나 잠시 후 다시 시도하세요.",
    ),
    "STREAM_SESSION_NOT_FOUND": ErrorCode(
        404, _G.NOT_FOUND, "This play session is over, or never was.", "재생 세션이 종료되었거나 존재하지 않습니다."
    ),
    "RATE_LIMITED": ErrorCode(
        429,
        _G.RESOURCE_EXHAUSTED,
        "Too many requests; wait a moment.",
        "요청이 너무 많습니다. 잠시 후 다시 시도하세요.",
    ),
    "REQUEST_TOO_LARGE": ErrorCode(
        413, _G.RESOURCE_EXHAUSTED, "The request body is larger than allowed.", "요청 본문이 너무 큽니다."
    ),
    "VALIDATION_FAILED": ErrorCode(
        422, _G.INVALID_ARGUMENT, "The request is malformed.", "요청 형식이 올바르지 않습니다."
    ),
    "SERVICE_UNAVAILABLE": ErrorCode(
        503,
        _G.UNAVAILABLE,
        "A part of the platform is not answering; try again soon.",
        "서비스를 일시적으로 사용할 수 없습니다.",
    ),
    "INTERNAL": ErrorCode(500, _G.INTERNAL, "Something went wrong on our side.", "서버 오류가 발생했습니다."),
}


BEARER: Final = 'Bearer realm="marquee"'
"""The challenge (RFC 9110, 11.6.1) that every 401 has."""


class ApiError(Exception):
    """An answer other than success, decided on purpose.

    Args:
        code: a key of `CODES`.
        message: says more than the code's own message; in English, for the cases where a general one can't help.
        details: facts for programs.
        headers: HTTP headers of the answer.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        details: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message or code)
        self.code = code
        self.message = message
        self.details = details or {}
        self.headers = headers or {}
        self.challenges: tuple[str, ...] = (BEARER,)
        """The challenges of a 401, each for a `WWW-Authenticate` of its own: FFmpeg looks at how a line begins."""

    @property
    def entry(self) -> ErrorCode:
        """What the code stands for; a code of a newer service than this one counts as INTERNAL."""
        return CODES.get(self.code, CODES["INTERNAL"])

    def body(self, accept_language: str = "") -> dict[str, Any]:
        """The error as the API shows it, in the language preferred by `accept_language` (RFC 9110, 12.5.4)."""
        message = self.message or (self.entry.ko if prefers_korean(accept_language) else self.entry.en)
        return {"error": {"code": self.code, "message": message, "details": self.details}}


def prefers_korean(accept_language: str) -> bool:
    """Whether Korean comes before English in an `Accept-Language` header; English when neither is named."""
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
