"""Measure coverage of greenlets in the main thread only. A plugin: `pytest -p kit.testing.coverage_threads --cov`.

With `concurrency = ["thread", "greenlet"]` coverage asks greenlet for the current one in every thread, which gives each
thread a state that greenlet destroys, when the thread has ended, in a pending call of the main thread. Two such ends
at once, while the main thread is traced, are an endless loop of CPython 3.11: a pending call that runs Python code (a
callback of its weak dictionary) looks for pending calls over and over. SQLAlchemy uses greenlets in the main thread;
other threads are measured without.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from coverage.collector import Collector

_start_tracer: Callable[[Collector], Any] = Collector._start_tracer  # noqa: SLF001 - coverage offers no hook
_starting = threading.Lock()


def _start_tracer_of_thread(collector: Collector) -> Any:
    if threading.current_thread() is threading.main_thread():
        return _start_tracer(collector)
    with _starting:
        function, collector.concur_id_func = collector.concur_id_func, None
        try:
            return _start_tracer(collector)
        finally:
            collector.concur_id_func = function


Collector._start_tracer = _start_tracer_of_thread  # type: ignore[assignment, method-assign]  # noqa: SLF001
