"""The system calls that a confined process may make: compute, use open files, and exit.

Found by tracing decoders of all supported formats and the builder of virtual MP4 files, plus the calls that C libraries
fall back to. None of them takes another process, a socket, a program or a path.
"""

from __future__ import annotations

from typing import Final

from sandbox.seccomp import Alternatives, Check

_ALWAYS: Final[Alternatives] = ((),)
_NEGATIVE = 0x80000000

_FREE: Final = (
    *("pread64", "read", "futex", "write", "lseek", "munmap", "brk", "mremap", "madvise", "readv", "preadv", "preadv2"),
    *("writev", "close", "dup", "fstat", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack"),
    *("ppoll", "poll", "pause", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday"),
    *("restart_syscall", "getrandom", "sched_yield", "getcpu", "sysinfo", "uname", "getrusage", "getrlimit"),
    *("getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "rseq", "exit", "exit_group"),
)
_OF_PATHS: Final = (
    *("openat", "open", "newfstatat", "stat", "lstat", "readlinkat", "readlink", "faccessat", "access", "getdents64"),
)
_OF_WRITABLE_PATHS: Final = (
    *("ftruncate", "fsync", "mkdirat", "mkdir", "unlinkat", "unlink", "rmdir", "renameat", "renameat2", "rename"),
)

_PROT_EXEC = 4
_AT_EMPTY_PATH = 0x1000
_SELF, _PRIO_PROCESS = 0, 0
_F_DUPFD, _F_GETFD, _F_SETFD, _F_GETFL, _F_DUPFD_CLOEXEC = 0, 1, 2, 3, 1030
_CLONE_THREAD = 0x00010000
_FLAGS_OF_THREADS = 0x007D0F00
"""What C libraries pass to make a thread: VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS, PARENT_SETTID,
CHILD_CLEARTID, and musl's DETACHED. They include no namespace and no signal to a parent."""

_NOT_EXECUTABLE: Final[Alternatives] = ((Check(2, 0, _PROT_EXEC),),)
_OF_ITSELF: Final[Alternatives] = ((Check(0, _SELF),),)


def rules(own_pid: int, *, threads: bool, paths: bool, writable_paths: bool) -> dict[str, Alternatives]:
    """Return the allowed system calls with the checks of their arguments.

    Args:
        own_pid: the process, which may signal itself, as `abort` does.
        threads: it may start threads; never processes.
        paths: it may open files by name, as far as Landlock allows.
        writable_paths: it may also create, rename and remove files there.
    """
    allowed = dict.fromkeys(_FREE, _ALWAYS) | {
        # No new code: writable memory can't become executable.
        "mmap": _NOT_EXECUTABLE,
        "mprotect": _NOT_EXECUTABLE,
        # C libraries call this for `fstat`: an open file by its descriptor.
        "newfstatat": ((Check(0, 0, _NEGATIVE), Check(3, _AT_EMPTY_PATH)),),
        # Not allowed: flags and owners of open file descriptions that the parent shares, locks, leases, notifications.
        "fcntl": tuple((Check(1, command),) for command in (_F_DUPFD_CLOEXEC, _F_SETFD, _F_DUPFD, _F_GETFD, _F_GETFL)),
        "getsid": _OF_ITSELF,
        "getpriority": ((Check(0, _PRIO_PROCESS), Check(1, _SELF)),),
        "setpriority": ((Check(0, _PRIO_PROCESS), Check(1, _SELF)),),
        # Only reading its own limits.
        "prlimit64": ((Check(0, _SELF), Check(2, 0), Check(2, 0, upper=True)),),
        "tgkill": ((Check(0, own_pid),),),
    }
    if threads:
        allowed["clone"] = ((Check(0, _CLONE_THREAD, _CLONE_THREAD), Check(0, 0, 0xFFFFFFFF & ~_FLAGS_OF_THREADS)),)
        # Without, FFmpeg counts one processor and starts no threads by itself.
        allowed["sched_getaffinity"] = _OF_ITSELF
        allowed |= dict.fromkeys(("set_robust_list", "membarrier"), _ALWAYS)
    if paths or writable_paths:
        allowed |= dict.fromkeys(_OF_PATHS, _ALWAYS)
    if writable_paths:
        allowed |= dict.fromkeys(_OF_WRITABLE_PATHS, _ALWAYS)
    return allowed
