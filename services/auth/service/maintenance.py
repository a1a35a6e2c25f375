"""Periodic maintenance: expire plans, delete old entries, raise and deliver alerts. Several replicas may run it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from services.auth.clients.webhook import Webhook, WebhookError
from services.auth.service import Audit, Corporations, Logins

log = structlog.get_logger()

EVERY_SEC = 15.0
"""Seconds between rounds: an overdue plan becomes free and an alert is sent well within a minute."""
PRUNE_EVERY = 240
"""Rounds from one pruning to the next: an hour."""


class Maintenance:
    """Run periodic maintenance: expire plans, prune, send alerts.

    Args:
        corporations: expires overdue plans.
        audit: deletes old entries and detects bursts of failed logins.
        logins: deletes changes of accounts that no valid token predates.
        webhook: receives alerts; None sends none.
    """

    def __init__(self, corporations: Corporations, audit: Audit, logins: Logins, webhook: Webhook | None) -> None:
        self._corporations = corporations
        self._audit = audit
        self._logins = logins
        self._webhook = webhook

    async def run(self) -> None:
        """Run rounds until cancelled; a step that fails is tried again in the next round."""
        number = 0
        while True:
            await self.once(prune=number % PRUNE_EVERY == 0)
            number += 1
            await asyncio.sleep(EVERY_SEC)

    async def once(self, *, prune: bool = False) -> None:
        """Run one round; if a step fails, the others still run."""
        steps: list[Callable[[], Awaitable[object]]] = [
            self._corporations.expire_plans,
            self._audit.detect_failure_burst,
            self._deliver,
        ]
        if prune:
            steps += [self._audit.delete_old_entries, self._logins.delete_old_changes]
        for step in steps:
            try:
                await step()
            except Exception:
                log.exception("sweep_failed", step=step.__name__)

    async def _deliver(self) -> None:
        if self._webhook is None:
            return
        while alert := await self._audit.take_alert():
            try:
                await self._webhook.post(alert.body)
            except WebhookError as error:
                log.warning("alert_not_delivered", kind=alert.kind, attempt=alert.attempts, reason=str(error))
            else:
                await self._audit.mark_delivered(alert)
