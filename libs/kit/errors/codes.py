"""The error codes of the platform: each with its HTTP status, gRPC status and messages.

A code is part of the API: programs match on it, so its meaning never changes. Messages are for people and follow
`Accept-Language`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

import grpc

_G = grpc.StatusCode


class ErrorCode(StrEnum):
    """A stable error code; as text it is its own name."""

    http_status: int
    grpc_status: grpc.StatusCode
    en: str
    ko: str

    def __new__(cls, code: str, http_status: int, grpc_status: grpc.StatusCode, en: str, ko: str) -> Self:
        """Build the member from a row of the table below."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.http_status = http_status
        member.grpc_status = grpc_status
        member.en = en
        member.ko = ko
        return member

    @classmethod
    def parse(cls, text: str) -> ErrorCode | None:
        """Return the code with this name, or None: a peer of a newer release may send a code unknown here."""
        return cls.__members__.get(text)

    AUTH_INVALID_CREDENTIALS = (
        "AUTH_INVALID_CREDENTIALS",
        401,
        _G.UNAUTHENTICATED,
        "The login or the password is wrong.",
        "아이디 또는 비밀번호가 올바르지 않습니다.",
    )
    AUTH_INVALID_TOKEN = (
        "AUTH_INVALID_TOKEN",
        401,
        _G.UNAUTHENTICATED,
        "Log in first: no valid credentials came with the request.",
        "로그인이 필요합니다.",
    )
    AUTH_TOKEN_EXPIRED = (
        "AUTH_TOKEN_EXPIRED",
        401,
        _G.UNAUTHENTICATED,
        "This login has expired; log in again.",
        "로그인이 만료되었습니다. 다시 로그인하세요.",
    )
    AUTH_USER_PENDING = (
        "AUTH_USER_PENDING",
        403,
        _G.PERMISSION_DENIED,
        "An administrator has yet to approve this account.",
        "승인 대기 중인 계정입니다.",
    )
    AUTH_USER_SUSPENDED = (
        "AUTH_USER_SUSPENDED",
        403,
        _G.PERMISSION_DENIED,
        "This account is suspended.",
        "이용이 정지된 계정입니다.",
    )
    AUTH_FORBIDDEN = ("AUTH_FORBIDDEN", 403, _G.PERMISSION_DENIED, "You may not do this.", "권한이 없습니다.")
    AUTH_REGISTRATION_CLOSED = (
        "AUTH_REGISTRATION_CLOSED",
        403,
        _G.PERMISSION_DENIED,
        "New accounts are made by an administrator.",
        "회원가입이 닫혀 있습니다.",
    )
    AUTH_LOGIN_TAKEN = (
        "AUTH_LOGIN_TAKEN",
        409,
        _G.ALREADY_EXISTS,
        "This login is taken already.",
        "이미 사용 중인 아이디입니다.",
    )
    AUTH_WRONG_PASSWORD = (
        "AUTH_WRONG_PASSWORD",
        403,
        _G.PERMISSION_DENIED,
        "The current password is wrong.",
        "현재 비밀번호가 올바르지 않습니다.",
    )
    AUTH_RESET_CODE_INVALID = (
        "AUTH_RESET_CODE_INVALID",
        403,
        _G.PERMISSION_DENIED,
        "This code is wrong, was used, or has expired; ask an administrator for another.",
        "코드가 올바르지 않거나 만료되었습니다. 관리자에게 다시 요청하세요.",
    )
    AUTH_LAST_ADMIN = (
        "AUTH_LAST_ADMIN",
        409,
        _G.FAILED_PRECONDITION,
        "This is the last active administrator; make another one first.",
        "마지막 관리자입니다. 먼저 다른 관리자를 지정하세요.",
    )
    CORPORATION_NAME_TAKEN = (
        "CORPORATION_NAME_TAKEN",
        409,
        _G.ALREADY_EXISTS,
        "A corporation has this name already.",
        "이미 사용 중인 법인 이름입니다.",
    )
    CORPORATION_NOT_EMPTY = (
        "CORPORATION_NOT_EMPTY",
        409,
        _G.FAILED_PRECONDITION,
        "The corporation still has members; move them first.",
        "소속된 회원이 있습니다. 먼저 회원을 옮기세요.",
    )
    AUTH_RATE_LIMITED = (
        "AUTH_RATE_LIMITED",
        429,
        _G.RESOURCE_EXHAUSTED,
        "Too many attempts; wait a moment.",
        "시도가 너무 많습니다. 잠시 후 다시 시도하세요.",
    )
    CONTENT_NOT_FOUND = (
        "CONTENT_NOT_FOUND",
        404,
        _G.NOT_FOUND,
        "There is no such thing here.",
        "콘텐츠를 찾을 수 없습니다.",
    )
    CONTENT_NOT_READY = (
        "CONTENT_NOT_READY",
        409,
        _G.FAILED_PRECONDITION,
        "The video is not ready to be watched.",
        "아직 재생할 수 없는 영상입니다.",
    )
    CONTENT_DELETED = ("CONTENT_DELETED", 410, _G.NOT_FOUND, "The video is in the trash.", "휴지통에 있는 영상입니다.")
    CONTENT_PROTECTED = (
        "CONTENT_PROTECTED",
        403,
        _G.PERMISSION_DENIED,
        "This video is protected; it can't be fetched as a plain file.",
        "보호된 영상이므로 일반 파일로 받을 수 없습니다.",
    )
    CONTENT_SOURCE_REMOVED = (
        "CONTENT_SOURCE_REMOVED",
        409,
        _G.FAILED_PRECONDITION,
        "The video is protected, and its unprotected file was removed; upload it again to have it made anew.",
        "보호된 영상의 원본이 삭제되어 다시 처리할 수 없습니다. 영상을 다시 업로드하세요.",
    )
    LICENSE_EXPIRED = (
        "LICENSE_EXPIRED",
        403,
        _G.PERMISSION_DENIED,
        "This license has expired.",
        "라이선스가 만료되었습니다.",
    )
    PLAN_REQUIRED = (
        "PLAN_REQUIRED",
        402,
        _G.FAILED_PRECONDITION,
        "This needs a paid plan; the corporation has none, or it has expired.",
        "유료 요금제가 필요합니다. 법인의 요금제가 없거나 만료되었습니다.",
    )
    METHOD_NOT_ALLOWED = (
        "METHOD_NOT_ALLOWED",
        405,
        _G.UNIMPLEMENTED,
        "This address does not answer that method.",
        "허용되지 않는 메서드입니다.",
    )
    UPLOAD_INVALID_MEDIA = (
        "UPLOAD_INVALID_MEDIA",
        422,
        _G.INVALID_ARGUMENT,
        "The upload is not what it should be.",
        "업로드 형식이 올바르지 않습니다.",
    )
    UPLOAD_TOO_LARGE = (
        "UPLOAD_TOO_LARGE",
        413,
        _G.RESOURCE_EXHAUSTED,
        "The upload is larger than allowed.",
        "업로드 용량 제한을 초과했습니다.",
    )
    UPLOAD_CONFLICT = (
        "UPLOAD_CONFLICT",
        409,
        _G.ALREADY_EXISTS,
        "This does not go with what is there already.",
        "이미 있는 내용과 충돌합니다.",
    )
    UPLOAD_LOCKED = (
        "UPLOAD_LOCKED",
        423,
        _G.ABORTED,
        "Another request is writing this upload; try again in a moment.",
        "다른 요청이 이 업로드를 쓰고 있습니다. 잠시 후 다시 시도하세요.",
    )
    UPLOAD_CHECKSUM_MISMATCH = (
        "UPLOAD_CHECKSUM_MISMATCH",
        460,
        _G.DATA_LOSS,
        "The bytes are not those of the checksum; send them again.",
        "체크섬이 일치하지 않습니다. 다시 보내세요.",
    )
    UPLOAD_VERSION_UNSUPPORTED = (
        "UPLOAD_VERSION_UNSUPPORTED",
        412,
        _G.FAILED_PRECONDITION,
        "This version of the tus protocol is not supported.",
        "지원하지 않는 tus 프로토콜 버전입니다.",
    )
    UPLOAD_TYPE_UNSUPPORTED = (
        "UPLOAD_TYPE_UNSUPPORTED",
        415,
        _G.INVALID_ARGUMENT,
        "The content type of the request is not the one expected here.",
        "요청의 콘텐츠 형식이 올바르지 않습니다.",
    )
    UPLOAD_QUOTA_EXCEEDED = (
        "UPLOAD_QUOTA_EXCEEDED",
        413,
        _G.RESOURCE_EXHAUSTED,
        "The corporation's quota of stored bytes does not allow it.",
        "법인의 저장 용량 한도를 초과했습니다.",
    )
    STORAGE_FULL = (
        "STORAGE_FULL",
        507,
        _G.RESOURCE_EXHAUSTED,
        "There is no room left to save this.",
        "저장 공간이 부족합니다.",
    )
    STREAM_RANGE_INVALID = (
        "STREAM_RANGE_INVALID",
        416,
        _G.OUT_OF_RANGE,
        "The asked range lies outside the file.",
        "요청한 범위가 파일을 벗어났습니다.",
    )
    STREAM_FILE_UNAVAILABLE = (
        "STREAM_FILE_UNAVAILABLE",
        503,
        _G.UNAVAILABLE,
        "The file can't be read now; check that the media store is mounted.",
        "파일을 읽을 수 없습니다. 저장소 연결을 확인하세요.",
    )
    STREAM_RATE_LIMITED = (
        "STREAM_RATE_LIMITED",
        429,
        _G.RESOURCE_EXHAUSTED,
        "The limit of streams is reached; stop one, or try again later.",
        "동시 재생 한도에 도달했습니다. 다른 재생을 중지하거나 잠시 후 다시 시도하세요.",
    )
    STREAM_SESSION_NOT_FOUND = (
        "STREAM_SESSION_NOT_FOUND",
        404,
        _G.NOT_FOUND,
        "This play session is over, or never was.",
        "재생 세션이 종료되었거나 존재하지 않습니다.",
    )
    LICENSE_LIMIT_REACHED = (
        "LICENSE_LIMIT_REACHED",
        429,
        _G.RESOURCE_EXHAUSTED,
        "The limit of offline films is reached; remove one, or wait until one ends.",
        "오프라인 저장 한도에 도달했습니다. 다른 영상을 삭제하거나 만료될 때까지 기다리세요.",
    )
    RATE_LIMITED = (
        "RATE_LIMITED",
        429,
        _G.RESOURCE_EXHAUSTED,
        "Too many requests; wait a moment.",
        "요청이 너무 많습니다. 잠시 후 다시 시도하세요.",
    )
    REQUEST_TOO_LARGE = (
        "REQUEST_TOO_LARGE",
        413,
        _G.RESOURCE_EXHAUSTED,
        "The request body is larger than allowed.",
        "요청 본문이 너무 큽니다.",
    )
    VALIDATION_FAILED = (
        "VALIDATION_FAILED",
        422,
        _G.INVALID_ARGUMENT,
        "The request is malformed.",
        "요청 형식이 올바르지 않습니다.",
    )
    SERVICE_UNAVAILABLE = (
        "SERVICE_UNAVAILABLE",
        503,
        _G.UNAVAILABLE,
        "A part of the platform is not answering; try again soon.",
        "서비스를 일시적으로 사용할 수 없습니다.",
    )
    INTERNAL = ("INTERNAL", 500, _G.INTERNAL, "Something went wrong on our side.", "서버 오류가 발생했습니다.")
