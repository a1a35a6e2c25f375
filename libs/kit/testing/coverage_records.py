"""Record which lines and branches of services and libs the tests run: `pytest -p kit.testing.coverage_records`.

With `--coverage-records FOLDER` each test process writes one file into the folder; scripts/report-coverage merges and
judges them. SlipCover compiles probes into the code when it is imported. Tracing (`sys.settrace`), which is all that
coverage.py can do before Python 3.12, doubles the processor time of the whole run; probes cost a few seconds a process.
"""

from __future__ import annotations

import ast
import json
import os
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest
import slipcover
from slipcover import branch

ROOT = Path(__file__).resolve().parents[3]
SOURCES = tuple(
    f"{ROOT / each}/" for each in ("libs/kit", "libs/lsv", "libs/mp4", "libs/sandbox", "libs/zerocopy", "services")
)
NOT_MEASURED = ("/tests/", "/kit/testing/", "/migrations/versions/")
EXCLUDED = [
    r"if TYPE_CHECKING:",
    r"if __name__ == .__main__.:",
    r"raise NotImplementedError",
    r"@abstractmethod",
    r"class .*\(Protocol\):",
]
"""Lines, and the blocks that they begin, that no test has to run."""
NEVER = 2**31 - 1
"""Probes stay: to remove them, SlipCover walks through objects of running frames."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the folder."""
    parser.addoption("--coverage-records", metavar="FOLDER", help="write what was run into this folder, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Measure what is imported from now on."""
    folder = config.getoption("--coverage-records")
    # The process that only hands tests out to others runs none.
    if folder and (hasattr(config, "workerinput") or not config.getoption("numprocesses", None)):
        config.pluginmanager.register(Recorder(Path(folder)))


def is_measured(path: str) -> bool:
    """Return whether a source file is part of the product."""
    return path.startswith(SOURCES) and not any(each in path for each in NOT_MEASURED)


class Recorder:
    """Instruments modules as they are imported, and writes what was run at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._slipcover = slipcover.Slipcover(
            branch=True, d_miss_threshold=NEVER, source=list(SOURCES), omit=[f"*{each}*" for each in NOT_MEASURED],
            exclude_also=EXCLUDED,
        )  # fmt: skip
        execute = SourceFileLoader.exec_module

        def exec_module(loader: SourceFileLoader, module: ModuleType) -> None:
            path = str(loader.path)
            if is_measured(path):
                self._execute(path, module)
            else:
                execute(loader, module)

        SourceFileLoader.exec_module = exec_module  # type: ignore[assignment, method-assign]

    def _execute(self, path: str, module: ModuleType) -> None:
        code = compile(branch.preinstrument(ast.parse(Path(path).read_bytes())), path, "exec")
        exec(self._slipcover.instrument(code), module.__dict__)  # noqa: S102 - what importing a module is

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the record of this process."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{os.getpid()}.json").write_text(json.dumps(self._slipcover.get_coverage()))
