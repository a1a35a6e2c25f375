"""One server process: started, stopped, killed, paused; the port and the data stay."""

import contextlib
import os
import pwd
import signal
import stat
import subprocess
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kit.testing.servers.ports import free_port
from kit.testing.servers.programs import ServerError, wait_until

GUARDIAN = Path(__file__).parents[1] / "guardian.py"


class Server(ABC):
    """One server process: started, stopped, killed, paused; the port and the data stay."""

    name: str
    start_timeout = 60.0
    stop_timeout = 20.0
    polite_signal: signal.Signals = signal.SIGTERM

    def __init__(self, directory: Path) -> None:
        if not sys.platform.startswith("linux"):
            raise ServerError("throw-away servers need Linux")
        self.directory = directory.resolve() / self.name
        self.port = free_port()
        self.log_file = self.directory / "server.log"
        self._guardian: subprocess.Popen[bytes] | None = None
        self._server_pid = 0
        self._borrowed = False

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs to use the server; starting and stopping stay with this one."""
        return self.__dict__ | {"_guardian": None, "_borrowed": True}

    @property
    @abstractmethod
    def url(self) -> str:
        """The address for clients."""

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _answers(self) -> bool:
        """Return whether the server does its real work for a client now."""

    def _prepare(self) -> None:  # noqa: B027 - most need nothing
        """Make what must exist before the first start. Must do nothing on later ones."""

    def _environment(self) -> dict[str, str]:
        return dict(os.environ)

    @property
    def _account(self) -> pwd.struct_passwd | None:
        """The account that runs the server; None for that of this process."""
        return None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._guardian is not None and self._guardian.poll() is None

    @property
    def pid(self) -> int:
        """The server's own process."""
        if not self.running:
            raise ServerError(f"{self.name} is not running")
        return self._server_pid

    def start(self) -> Self:
        """Start it on its data and its port, and wait until it serves clients."""
        if self._borrowed:
            raise ServerError(f"{self.name} belongs to another process: a test that starts one makes its own")
        if self.running:
            raise ServerError(f"{self.name} is running already")
        self.directory.mkdir(parents=True, exist_ok=True)
        account = self._account
        if account is not None:
            _let_in(self.directory, account)
        command = self._command()
        self._prepare()
        identity = f"{account.pw_uid}:{account.pw_gid}" if account else ""
        with self.log_file.open("ab") as log:
            self._guardian = subprocess.Popen(  # noqa: S603 - made above
                [sys.executable, "-I", "-S", str(GUARDIAN), str(int(self.polite_signal)), identity, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.directory,
                env=self._environment(),
                # A terminal's Ctrl-C must not reach the guardian before the test run has cleaned up.
                start_new_session=True,
            )
        try:
            self._server_pid = self._reported_pid()
            wait_until(self._ready, f"{self.name} answers", self.start_timeout)
        except BaseException as error:
            self.kill()
            if isinstance(error, (TimeoutError, ServerError)):
                raise ServerError(f"{self.name} did not start: {error}\n{self._log_end()}") from error
            raise
        return self

    def stop(self) -> None:
        """Shut down in good order, within `stop_timeout`. Stopping what is not running does nothing."""
        self._order(b"CT")
        try:
            self._wait_gone(self.stop_timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerError(
                f"{self.name} did not stop within {self.stop_timeout:g} s and was killed\n{self._log_end()}"
            ) from None

    def kill(self) -> None:
        """Kill the server and everything it started, at once (SIGKILL)."""
        self._order(b"K")
        self._wait_gone(self.stop_timeout)

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing is answered."""
        self._order(b"S")
        wait_until(lambda: _state(self._server_pid) == "T", f"{self.name} is frozen", 60)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._order(b"C")

    def _reported_pid(self) -> int:
        if self._guardian is None or self._guardian.stdout is None:
            raise ServerError("its guardian is gone")
        return int(self._guardian.stdout.readline() or b"0")

    def _ready(self) -> bool:
        if not self.running:
            raise ServerError("its process ended")
        return self._answers()

    def _order(self, letters: bytes) -> None:
        if self._guardian is None or self._guardian.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):  # it is gone already
            self._guardian.stdin.write(letters)
            self._guardian.stdin.flush()

    def _wait_gone(self, timeout: float) -> None:
        if self._guardian is None:
            return
        self._guardian.wait(timeout)
        for pipe in (self._guardian.stdin, self._guardian.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._guardian = None

    def _log_end(self) -> str:
        try:
            lines = self.log_file.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(lines[-30:])

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.running:
            self.stop()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _let_in(directory: Path, account: pwd.struct_passwd) -> None:
    for folder in directory.parents:
        if not folder.stat().st_mode & stat.S_IXOTH:
            raise ServerError(
                f"{account.pw_name}, who runs the server because it refuses root, cannot enter {folder}: "
                "use a directory from server_directory()"
            )
    os.chown(directory, account.pw_uid, account.pw_gid)
