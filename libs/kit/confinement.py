"""The log line and health check of how the child processes that read untrusted media are confined."""

from __future__ import annotations

import structlog

from kit.health import Check
from sandbox.confine import missing
from sandbox.errors import SandboxError

log = structlog.get_logger()


def confinement_checks() -> dict[str, Check]:
    """Log what the kernel lacks for confining child processes; return a health check that says so, or none.

    The service stays ready: without `landlock` its children are still confined by seccomp, and without `seccomp`, on
    Linux, they refuse to read. docs/operations/security.md says which kernels and containers have both.
    """
    lacking = missing()
    if not lacking:
        log.info("children_confined")
        return {}
    log.warning("children_less_confined", kernel_lacks=lacking)

    async def probe() -> None:
        raise SandboxError(", ".join(lacking))

    return {"sandbox": Check(probe, required=False)}
