"""Structured logs, the trace context that joins them across services, and metrics.

Logs are JSON, one object a line, with `timestamp`, `level`, `service`, `action` and the ids of what was going on.
Trace context follows W3C Trace Context (https://www.w3.org/TR/trace-context/), version 00.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram

from kit.ids import new_id

HTTP_SECONDS = Histogram(
    "http_request_seconds",
    "Time from a request's first byte to the end of its answer.",
    ["service", "method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
)
GRPC_SECONDS = Histogram("grpc_request_seconds", "Time to answer a gRPC call.", ["service", "method", "status"])
OUTBOX_AGE = Gauge("outbox_oldest_age_seconds", "Age of the oldest event not yet published.", ["service"])
OUTBOX_SENT = Counter("outbox_events_total", "Events published from the outbox.", ["service"])

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECRETS = re.compile(r"(?i)\b(ticket|token|access_token|refresh_token|password|key)=[^&\s\"']+")


def configure_logging(level: str, log_format: str) -> None:
    """Sends all logs, also those of libraries, to standard error in one shape."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        redact,
    ]
    if log_format == "json":
        final: list[structlog.types.Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("action"),
            structlog.processors.JSONRenderer(),
        ]
    else:
        final = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
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
    for noisy in ("pika", "aiosqlite", "alembic", "uvicorn.access", "httpx", "multipart", "python_multipart"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def redact(_logger: Any, _method: str, entry: structlog.types.EventDict) -> structlog.types.EventDict:
    """A log processor: tickets and tokens in URLs never reach a log."""
    for key, value in entry.items():
        if isinstance(value, str) and "=" in value:
            entry[key] = _SECRETS.sub(r"\1=[redacted]", value)
    return entry


@contextmanager
def service_context(service: str, **more: str) -> Iterator[None]:
    """What is logged inside carries the service's name: in embedded mode several live in one process."""
    with structlog.contextvars.bound_contextvars(service=service, **{k: v for k, v in more.items() if v}):
        yield


def continue_trace(traceparent: str) -> str:
    """The `traceparent` for our part of a trace: same trace id, a span id of our own; a new trace when there is none."""
    matched = _TRACEPARENT.fullmatch(traceparent)
    trace_id = matched[1] if matched and matched[1] != "0" * 32 else secrets.token_hex(16)
    flags = matched[3] if matched else "01"
    return f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"


def accept_request_id(given: str) -> str:
    """The caller's request id when it is harmless to log, a new one otherwise."""
    return given if _REQUEST_ID.fullmatch(given) else new_id()


def current(name: str) -> str:
    """A value bound to the work in hand (`request_id`, `traceparent`), or an empty text."""
    return str(structlog.contextvars.get_contextvars().get(name, ""))
