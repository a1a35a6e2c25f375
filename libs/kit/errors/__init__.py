"""Errors that every service answers with: the codes and the exception that carries one."""

from kit.errors.api_error import BEARER as BEARER
from kit.errors.api_error import ApiError as ApiError
from kit.errors.api_error import invalid_field as invalid_field
from kit.errors.api_error import prefers_korean as prefers_korean
from kit.errors.api_error import service_unavailable as service_unavailable
from kit.errors.codes import ErrorCode as ErrorCode
