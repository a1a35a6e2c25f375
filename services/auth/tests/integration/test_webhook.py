"""How alerts are posted to the webhook."""

from __future__ import annotations

import pytest

from services.auth.clients import webhook
from services.auth.clients.webhook import Webhook, WebhookError
from services.auth.tests.integration.audit_support import a_hook


async def test_redirect_is_not_followed() -> None:
    async with a_hook() as hook, a_hook() as elsewhere:
        hook.status, hook.headers = 307, f"Location: {elsewhere.url()}\r\n"
        with pytest.raises(WebhookError, match="status 307"):
            await Webhook(hook.url()).post("{}")
    assert (len(hook.requests), elsewhere.requests) == (1, [])


async def test_proxy_of_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_hook() as hook, a_hook() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url(""))
        await Webhook(hook.url()).post("{}")
    assert (len(hook.requests), proxy.requests) == (1, [])


async def test_hanging_webhook_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT_SEC", 0.1)
    async with a_hook() as hook:
        hook.silent = True
        with pytest.raises(WebhookError, match="TimeoutError"):
            await Webhook(hook.url()).post("{}")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/s3cret", "https://127.0.0.1:1/s3cret", "http://[::1]:1/s3cret"])
async def test_error_contains_no_address(url: str) -> None:
    with pytest.raises(WebhookError) as caught:
        await Webhook(url).post("{}")
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
