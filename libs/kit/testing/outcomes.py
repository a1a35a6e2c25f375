"""Record which tests failed, for scripts/run-pytest. A plugin: `pytest -p kit.testing.outcomes --outcomes FILE`.

The file is JSON: `failed`, the ids of tests that failed, and `broken`, what no second run can mend (a module that could
not be imported, a worker process that died).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the file."""
    parser.addoption("--outcomes", metavar="FILE", help="write the ids of failed tests into this file, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Record in the process that collects all reports; workers of a parallel run send theirs there."""
    target = config.getoption("--outcomes")
    if target and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Recorder(Path(target)))


class _Recorder:
    def __init__(self, target: Path) -> None:
        self._target = target
        self._failed: dict[str, None] = {}
        self._broken: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed[report.nodeid] = None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._broken.append(f"{report.nodeid}: not collected")

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str) -> None:
        self._broken.append(f"{crashitem}: its process died")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object, error: object) -> None:
        if error:
            self._broken.append(f"{node}: {error}")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self._broken.append(f"the run was ended: {excinfo.exconly()}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if reason := session.shouldstop or session.shouldfail:
            self._broken.append(f"the run was ended: {reason}")
        outcome = {"failed": list(self._failed), "broken": self._broken}
        self._target.write_text(json.dumps(outcome, indent=1))
