"""Structured logs, the trace context that joins them across services, and metrics.

Logs are JSON, one object a line, with `timestamp`, `level`, `service`, `action` and the ids of the request or event
being handled.
Trace context follows W3C Trace Context (https://www.w3.org/TR/trace-context/), version 00.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

from kit.ids import new_id

HTTP_SECONDS = Histogram(
    "http_request_seconds",
    "Time from a request's first byte to the end of its answer.",
    ["service", "method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
)
GRPC_SECONDS = Histogram("grpc_request_seconds", "Time to answer a gRPC call.", ["service", "method", "status"])
GRPC_CLIENT_FAILURES = Counter(
    "grpc_client_failures_total",
    "gRPC calls to other services that did not end with the status OK.",
    ["service", "target", "method", "status"],
)
DATABASE_FAILURES = Counter(
    "database_failures_total",
    "Uses of a database that ended because it was away, full, or busy for too long.",
    ["database", "code"],
)
DATABASE_FULL = Gauge(
    "database_disk_full",
    "1 while the disk of a database is full: writes are answered 507.",
    ["database"],
    multiprocess_mode="livemax",
)
OUTBOX_AGE = Gauge(
    "outbox_oldest_age_seconds",
    "Age of the oldest event not yet published.",
    ["service"],
    multiprocess_mode="livemax",
)
OUTBOX_SENT = Counter("outbox_events_total", "Events published from the outbox.", ["service"])

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that makes prometheus_client keep values in files of a folder, shared by all workers."""

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECRETS = re.compile(
    r"""(?ix) \b ([\w-]{0,30} (?:ticket|token|password|secret|key)) = (?: "[^"]*" | '[^']*' | [^&\s"']+ )"""
)
_USER_INFO = re.compile(r"://[^\s/@:]*:[^\s/@]+@")


def configure_logging(level: str, log_format: str) -> None:
    """Send all logs, also those of libraries, to standard error in one format."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    # Last but for the rendering: tracebacks quote addresses, too.
    hidden: list[structlog.types.Processor] = [summarize_expected, structlog.processors.format_exc_info, redact]
    if log_format == "json":
        final: list[structlog.types.Processor] = [
            *hidden,
            structlog.processors.EventRenamer("action"),
            structlog.processors.JSONRenderer(),
        ]
    else:
        plain = structlog.dev.plain_traceback
        final = [*hidden, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    structlog.configure(
        # First what is not logged: nothing more is done for it.
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Not pika: what it has to say is logged by `kit.bus.rabbit.connection`, one line an attempt.
    for noisy in ("aiosqlite", "alembic", "uvicorn.access", "httpx", "multipart", "python_multipart"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def collect_metrics() -> bytes:
    """Return all metrics in Prometheus's text format: of this process, or of it and the workers that share its port."""
    if METRICS_FOLDER not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def summarize_expected(_logger: Any, _method: str, entry: structlog.types.EventDict) -> structlog.types.EventDict:
    """Replace the traceback of an expected failure by its reason, and lower its level. A processor of structlog.

    Expected is what passes and is no fault of Marquee's: an exception whose `is_expected` is true (something that is
    needed does not answer), and a full disk. Its traceback says nothing that the reason does not.
    """
    given = entry.get("exc_info")
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if not isinstance(error, BaseException) or not _is_expected(error):
        return entry
    del entry["exc_info"]
    entry["level"] = "warning"
    about = {"reason": getattr(error, "reason", None) or str(error) or repr(error)}
    about |= {name: value for name in ("code", "dependency") if (value := getattr(error, name, None))}
    return {**about, **entry}


def _is_expected(error: BaseException) -> bool:
    is_disk_full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
    return is_disk_full or bool(getattr(error, "is_expected", False))


def redact(_logger: Any, _method: str, entry: structlog.types.EventDict) -> structlog.types.EventDict:
    """Redact tickets, tokens and passwords in URLs. A processor of structlog."""
    for key, value in entry.items():
        entry[key] = _redacted(value)
    return entry


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        if "=" not in value and "@" not in value:
            # Neither could match, as in most values.
            return value
        return _USER_INFO.sub("://[redacted]@", _SECRETS.sub(r"\1=[redacted]", value))
    if isinstance(value, dict):
        return {key: _redacted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(item) for item in value]
    return value


@contextmanager
def service_context(service: str, **more: str) -> Iterator[None]:
    """Bind the service's name to what is logged inside: in embedded mode several services share a process."""
    with structlog.contextvars.bound_contextvars(service=service, **{k: v for k, v in more.items() if v}):
        yield


def continue_trace(traceparent: str) -> str:
    """Return the `traceparent` of this service's part of a trace: same trace id, new span id; or a new trace."""
    matched = _TRACEPARENT.fullmatch(traceparent)
    if matched and (matched[1] == "0" * 32 or matched[2] == "0" * 16):
        matched = None
    trace_id, flags = (matched[1], matched[3]) if matched else (secrets.token_hex(16), "01")
    return f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"


def accept_request_id(given: str) -> str:
    """Return the caller's request id if it is harmless to log, a new one otherwise."""
    return given if _REQUEST_ID.fullmatch(given) else new_id()


def current(name: str) -> str:
    """Return a value bound to the current request or event (`request_id`, `traceparent`), or an empty string."""
    return str(structlog.contextvars.get_contextvars().get(name, ""))
