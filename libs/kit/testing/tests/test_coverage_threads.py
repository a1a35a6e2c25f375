"""Coverage tells greenlets apart in the main thread, and leaves other threads alone."""

from __future__ import annotations

import subprocess
import sys

MEASURED = """
import sys, threading
import kit.testing.coverage_threads
from coverage import Coverage

seen = {}

def look(name):
    seen[name] = sys.gettrace().concur_id_func

measure = Coverage(concurrency=["thread", "greenlet"], data_file=None, config_file=False)
measure.start()
thread = threading.Thread(target=look, args=["thread"])
thread.start()
thread.join()
look("main")
measure.stop()
print(seen["thread"] is None, seen["main"] is not None)
"""


def test_only_the_main_thread_is_asked_for_its_greenlet() -> None:
    command = [sys.executable, "-c", MEASURED]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - fixed
    assert done.stdout.split() == ["True", "True"], done.stderr
