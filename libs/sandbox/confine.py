"""Give up, from inside a process, all rights that reading foreign bytes doesn't need."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from contextlib import suppress
from typing import NamedTuple

from sandbox import landlock, seccomp
from sandbox.errors import SandboxError
from sandbox.libc import libc
from sandbox.limits import Limits
from sandbox.rules import rules

_CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x08000000, 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CAPABILITY_VERSION_3 = 0x20080522
_NOTHING_BELOW = "/proc/self/fdinfo"
"""Root of a confined process: a folder without other folders, and without files once its process has ended."""


class Policy(NamedTuple):
    """The rights that a process keeps. Open files always stay usable."""

    limits: Limits
    niceness: int = 0
    """Added to its nice value."""
    own_network: bool = True
    """Also use own network and IPC namespaces if the kernel allows it: a second barrier, which takes some milliseconds
    to set up and to tear down."""
    threads: bool = False
    readable: tuple[str, ...] = ()
    """Paths at and below which it may open files for reading."""
    writable: tuple[str, ...] = ()
    """Paths at and below which it may read, write, create and remove files."""


class Confinement(NamedTuple):
    """The restrictions that are in force."""

    filters_calls: bool
    landlock: int
    """Version of Landlock; 0 if the kernel has none."""
    own_network: bool

    @property
    def is_isolated(self) -> bool:
        """Whether the process is cut off from the network."""
        return self.filters_calls or self.own_network


def confine(policy: Policy, parent_pid: int) -> Confinement:
    """Confine this process for good. Call it after all imports, before starting threads or reading foreign bytes.

    On Linux on x86_64 and aarch64, resource limits, no_new_privs, the system call filter, the end with the parent's
    thread and a session of its own are in force afterwards, or this raises. Landlock and namespaces are used if the
    kernel and the container allow them. Other machines have no filter, other systems only limits and session.

    Args:
        policy: the rights that it keeps.
        parent_pid: the parent; if it has died already, this process ends.

    Raises:
        SandboxError: a required restriction is not in force. Read nothing, and exit.
    """
    os.nice(policy.niceness)
    with suppress(PermissionError):  # it leads one already
        os.setsid()
    if sys.platform != "linux":
        policy.limits.apply(threads=policy.threads)
        return Confinement(filters_calls=False, landlock=0, own_network=False)
    try:
        return _confine(policy, parent_pid)
    except OSError as error:
        raise SandboxError(f"not confined: {error}") from error


def _confine(policy: Policy, parent_pid: int) -> Confinement:
    _refuse_threads()
    paths = bool(policy.readable or policy.writable)
    own_network = _leave_network() if policy.own_network else False
    if not paths:
        _leave_root()
    # A new user namespace comes with all capabilities inside it, and root has its own: none is needed.
    if libc().capset(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24)) != 0:
        raise SandboxError("not confined: capabilities can't be given up")
    # After the above, as a change of credentials makes the kernel forget this one.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)  # the parent died before
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    held = landlock.restrict(policy.readable, policy.writable)
    if paths and not held:
        raise SandboxError("not confined: paths can't be granted without Landlock")
    call_filter = _filter(policy)
    # The filter forbids setting limits, and is ready, as there may be no memory left for making it.
    policy.limits.apply(threads=policy.threads)
    if call_filter:
        call_filter.install()
    return Confinement(filters_calls=call_filter is not None, landlock=held, own_network=own_network)


def _refuse_threads() -> None:
    """Refuse a process with threads: Landlock and capabilities apply only to the calling thread and those it starts."""
    with suppress(FileNotFoundError):
        if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - a child that starts fast does without pathlib
            raise SandboxError("not confined: there are threads already")


def _leave_network() -> bool:
    """Leave the network; return whether that worked. Without root this needs a user namespace; containers forbid it."""
    own = _CLONE_NEWNET | _CLONE_NEWIPC
    return any(libc().unshare(flags) == 0 for flags in (_CLONE_NEWUSER | own, own))


def _leave_root() -> None:
    """Change to an empty root if the kernel allows it, because Landlock does not restrict `stat` of a path."""
    if not _has_empty_root() and libc().unshare(_CLONE_NEWUSER) == 0:
        _has_empty_root()


def _has_empty_root() -> bool:
    try:
        os.chroot(_NOTHING_BELOW)
        os.chdir("/")
    except OSError:
        return False
    return True


def _filter(policy: Policy) -> seccomp.Filter | None:
    machine = os.uname().machine
    if machine not in seccomp.MACHINES:
        return None
    paths = bool(policy.readable or policy.writable)
    allowed = rules(os.getpid(), threads=policy.threads, paths=paths, writable_paths=bool(policy.writable))
    return seccomp.Filter(machine, allowed)


def _prctl(option: int, value: int) -> None:
    """Set an attribute of this process (prctl(2)).

    Raises:
        OSError: the kernel refuses.
    """
    zero = ctypes.c_ulong(0)
    if libc().prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def missing() -> tuple[str, ...]:
    """Return the parts of the confinement that this kernel lacks: `seccomp`, `landlock`.

    Namespaces don't count: containers forbid them, and nothing depends on them.
    """
    if sys.platform != "linux":
        return "seccomp", "landlock"
    lacking = {"seccomp": not seccomp.is_available(os.uname().machine), "landlock": not landlock.version()}
    return tuple(name for name, lacks in lacking.items() if lacks)
