"""Which errors of a database a client may wait out, and how they are answered: 503, or 507 when the disk is full.

All others are defects of a statement or of data, and stay what they are.
"""

from __future__ import annotations

import sqlite3
from typing import Final

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from kit.errors import ApiError, ErrorCode

RETRY_AFTER_SEC = 2

_SQLITE_AWAY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}
_POSTGRES_DISK_FULL: Final = "53100"
# Classes and codes of PostgreSQL's appendix "Error Codes": 08 connection, 53 insufficient resources, 57P01-57P03
# shutdown, crash and start of the server, 55P03 a lock that another transaction held for too long, 25P03 a transaction
# that was idle for too long.
_POSTGRES_AWAY: Final = ("08", "53", "57P01", "57P02", "57P03", "55P03", "25P03")


class DatabaseUnavailableError(ApiError):
    """The database is away, busy for too long, or full.

    Args:
        code: SERVICE_UNAVAILABLE or STORAGE_FULL.
        reason: the driver's words, for the log only: they may name hosts and files.
    """

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(code, details={"dependency": "database"}, headers={"Retry-After": str(RETRY_AFTER_SEC)})
        self.reason = reason


def unavailable(error: SQLAlchemyError | psycopg.Error) -> DatabaseUnavailableError | None:
    """Return the answer to an error that passes when the database is well again; None for any other error."""
    code = _code_of(error)
    if code is None:
        return None
    cause = error.orig if isinstance(error, DBAPIError) else error
    return DatabaseUnavailableError(code, str(cause or error).partition("\n")[0])


def _code_of(error: SQLAlchemyError | psycopg.Error) -> ErrorCode | None:
    if isinstance(error, psycopg.Error):
        return _code_of_postgres(error)
    if isinstance(error, PoolTimeoutError):
        return ErrorCode.SERVICE_UNAVAILABLE
    if not isinstance(error, DBAPIError):
        return None
    cause = error.orig
    code = None
    if isinstance(cause, sqlite3.Error):
        code = _code_of_sqlite(cause)
    elif isinstance(cause, psycopg.Error):
        code = _code_of_postgres(cause)
    return code or (ErrorCode.SERVICE_UNAVAILABLE if error.connection_invalidated else None)


def _code_of_sqlite(error: sqlite3.Error) -> ErrorCode | None:
    # An error of the module itself, such as a closed connection, has no code of SQLite. The low byte is the kind.
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if kind == sqlite3.SQLITE_FULL:
        return ErrorCode.STORAGE_FULL
    return ErrorCode.SERVICE_UNAVAILABLE if kind in _SQLITE_AWAY else None


def _code_of_postgres(error: psycopg.Error) -> ErrorCode | None:
    state = error.sqlstate
    if state is None:
        # The server did not answer: refused, cut off, or silent for longer than a connection may take.
        return ErrorCode.SERVICE_UNAVAILABLE if isinstance(error, psycopg.OperationalError) else None
    if state == _POSTGRES_DISK_FULL:
        return ErrorCode.STORAGE_FULL
    return ErrorCode.SERVICE_UNAVAILABLE if state.startswith(_POSTGRES_AWAY) else None
