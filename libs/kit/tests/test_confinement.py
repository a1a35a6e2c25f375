"""A service says at its start how its child processes are confined."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from kit import confinement
from kit.confinement import confinement_checks
from kit.health import Health


def test_nothing_is_reported_where_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "missing", tuple)
    with capture_logs() as logs:
        assert confinement_checks() == {}
    assert [line["event"] for line in logs] == ["children_confined"]


async def test_what_the_kernel_lacks_is_logged_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "missing", lambda: ("landlock",))
    with capture_logs() as logs:
        health = Health(confinement_checks())
    assert [(line["event"], line["log_level"], line["kernel_lacks"]) for line in logs] == [
        ("children_less_confined", "warning", ("landlock",))
    ]
    with capture_logs():
        await health.run_checks()
    assert health.states() == {"sandbox": False}
    assert health.is_ready(), "its other work goes on"
