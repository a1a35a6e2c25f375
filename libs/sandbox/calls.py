"""Numbers of the system calls that a confined process may need, by machine."""

from __future__ import annotations

from typing import Final

AUDIT_ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH_* of linux/audit.h."""
CLONE3: Final = 435
"""The same on every machine."""

_BOTH: Final = {
    # name: (x86_64, aarch64); the most frequent first, because the filter checks them in this order.
    "pread64": (17, 67),
    "read": (0, 63),
    "futex": (202, 98),
    "write": (1, 64),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "brk": (12, 214),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    "readv": (19, 65),
    "preadv": (295, 69),
    "preadv2": (327, 286),
    "writev": (20, 66),
    "close": (3, 57),
    "dup": (32, 23),
    "fcntl": (72, 25),
    "fstat": (5, 80),
    "newfstatat": (262, 79),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "ppoll": (271, 73),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "getrandom": (318, 278),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getcpu": (309, 168),
    "sysinfo": (99, 179),
    "uname": (63, 160),
    "getrusage": (98, 165),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getppid": (110, 173),
    "getsid": (124, 156),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getpriority": (140, 141),
    "setpriority": (141, 140),
    "prlimit64": (302, 261),
    "tgkill": (234, 131),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "membarrier": (324, 283),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "clone": (56, 220),
    "openat": (257, 56),
    "getdents64": (217, 61),
    "readlinkat": (267, 78),
    "faccessat": (269, 48),
    "ftruncate": (77, 46),
    "fsync": (74, 82),
    "mkdirat": (258, 34),
    "unlinkat": (263, 35),
    "renameat": (264, 38),
    "renameat2": (316, 276),
}
_X86_64_ONLY: Final = {
    # aarch64 has only newer calls for these, which C libraries use there.
    "poll": 7,
    "pause": 34,
    "getrlimit": 97,
    "stat": 4,
    "lstat": 6,
    "open": 2,
    "access": 21,
    "readlink": 89,
    "mkdir": 83,
    "rmdir": 84,
    "unlink": 87,
    "rename": 82,
}

CALLS: Final = {
    "x86_64": {name: x86_64 for name, (x86_64, _) in _BOTH.items()} | _X86_64_ONLY,
    "aarch64": {name: aarch64 for name, (_, aarch64) in _BOTH.items()} | {"getrlimit": 163},
}
