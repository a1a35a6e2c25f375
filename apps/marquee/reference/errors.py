"""`docs/reference/errors.md`: every error code with its statuses and messages."""

from __future__ import annotations

from typing import Final

from apps.marquee.reference.markdown import table
from kit.errors import ErrorCode

HEAD: Final = """# Error codes

<!-- Generated from kit's table of errors by `make docs`. -->

Every error of the API has one form: `{"error": {"code": "…", "message": "…", "details": {}}}`. A code never changes its
meaning, so programs match on it. Messages are for people and follow `Accept-Language` (`en`, `ko`). Between services a
code travels in the trailing metadata of gRPC, so the code that catalog raised is the one that the browser sees.

What to look at when one appears: [troubleshooting](../operations/troubleshooting.md).
"""


def errors_page() -> str:
    """Return the page, in Markdown."""
    rows = [
        (f"`{code.value}`", str(code.http_status), f"`{code.grpc_status.name}`", code.en, code.ko)
        for code in sorted(ErrorCode)
    ]
    return "\n".join([HEAD, *table(("code", "HTTP", "gRPC", "message", "in Korean"), rows)]) + "\n"
