"""The small process that stands between a test run and a server it started.

`servers/process.py` runs this file by its path, as `python guardian.py SIGNAL UID:GID COMMAND…`, with a pipe as
standard input.
A parent-death signal alone would not do: it is tied to the thread that started the child, is dropped when the child
changes its user, and reaches no grandchild. This process does better:

- When the pipe closes, however the test run ended, everything that the server started is killed.
- As a "child subreaper" it inherits what the server detaches (RabbitMQ's epmd), so that is found and ended too.
- One letter on the pipe is one order: `T` terminates the server (the polite signal given first), `K` kills it and
  all its descendants at once, `S` stops them, `C` lets them go on.

It exits when no descendant is left. Only the standard library, and nothing of kit: it must start in milliseconds.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
DELAYED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NONE_LEFT = -1


def prctl(option: int, value: int) -> None:
    """Call prctl for this process.

    Raises:
        OSError: it failed.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def descendants(root: int) -> list[int]:
    """Return every process below `root`, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = (entry / "stat").read_bytes()
        except OSError:
            continue  # ended meanwhile
        # The command's name stands in brackets and may hold anything, brackets too.
        parent = int(status.rpartition(b")")[2].split()[1])
        children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
        found.extend(below)
        queue.extend(below)
    return found


def signal_all(number: int) -> None:
    """Signal every descendant of this process."""
    for pid in descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def reap() -> set[int]:
    """Collect the processes that have ended. Return them, with `NONE_LEFT` when no child is left."""
    ended: set[int] = set()
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            ended.add(NONE_LEFT)
            return ended
        if pid == 0:
            return ended
        ended.add(pid)


def launch(identity: str, command: list[str]) -> int:
    """Start the command in a session of its own, as another user if one is named; return its process id."""
    guardian = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(2, 1)
        if identity:
            user, _, group = identity.partition(":")
            os.setgroups([])
            os.setgid(int(group))
            os.setuid(int(user))
        # After the change of user, which would clear it. It covers the death of the guardian itself.
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guardian:
            os._exit(1)
        for number in (*DELAYED, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], command)  # noqa: S606 - the command that the test run asked for
    except BaseException as error:  # noqa: BLE001 - nothing may run on in the copy of this process
        os.write(2, f"cannot run {command[0]}: {error}\n".encode())
    os._exit(127)


class Guardian:
    """Follows orders and looks after one server until none of its descendants is left."""

    def __init__(self, server: int, polite: int) -> None:
        self._server = server
        self._polite = polite
        self._ending = False

    def watch(self, orders: int, wake: int) -> None:
        """Return when all have ended."""
        sources = [orders, wake]
        while True:
            ready, _, _ = select.select(sources, [], [], 0.05 if self._ending else None)
            if wake in ready:
                os.read(wake, 4096)
            if orders in ready and not self._obey(os.read(orders, 64)):
                sources.remove(orders)
            ended = reap()
            if NONE_LEFT in ended:
                return
            if self._server in ended:
                self._ending = True  # what it left behind (epmd, a half-dead worker) ends with it
            if self._ending:
                # Repeated until none is left: a process may have forked between the listing and the signal.
                signal_all(signal.SIGKILL)

    def _obey(self, orders: bytes) -> bool:
        """Do what the letters say. Return False if the pipe is closed: then the test run has ended."""
        for order in orders.decode():
            if order == "T":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._server, self._polite)
            elif order == "S":
                signal_all(signal.SIGSTOP)
            elif order == "C":
                signal_all(signal.SIGCONT)
            elif order == "K":
                self._ending = True
        if not orders:
            self._ending = True
        return bool(orders)


def main() -> int:
    """Run the command of the command line under guard."""
    polite, identity, *command = sys.argv[1:]
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    # Ctrl-C in a terminal reaches the whole foreground group: the test run decides, not the signal.
    for number in DELAYED:
        signal.signal(number, signal.SIG_IGN)
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(wake_write)
    server = launch(identity, command)
    os.write(1, f"{server}\n".encode())
    Guardian(server, int(polite)).watch(0, wake_read)
    return 0


if __name__ == "__main__":
    sys.exit(main())
