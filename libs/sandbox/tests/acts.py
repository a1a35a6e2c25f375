"""What a confined process may not do, tried in it: `ACTS` by name, each a piece of Python that gives -1 or raises."""

from __future__ import annotations

BY_PATH = {
    "open to read": "os.open(given['secret'], os.O_RDONLY)",
    "open to write": "os.open(given['secret'], os.O_WRONLY)",
    "make a file": "os.open(given['fresh'], os.O_WRONLY | os.O_CREAT)",
    "open by file handle": "SYSCALL('open_by_handle_at', -100, 0, 0)",
    "openat2": "SYSCALL('openat2', -100, 0, 0, 24)",
    "creat": "L.creat(SECRET, 0o600)",
    "stat": "os.stat(given['secret'])",
    "statx": "L.statx(-100, SECRET, 0, 0xfff, ctypes.create_string_buffer(512))",
    "statfs": "os.statvfs(given['secret'])",
    "access": "L.access(SECRET, 0)",
    "list a folder": "os.listdir(given['folder'])",
    "chdir": "os.chdir(given['folder'])",
    "chmod": "os.chmod(given['secret'], 0o644)",
    "chmod of what is open": "os.fchmod(0, 0o644)",
    "fchmodat2": "SYSCALL('fchmodat2', -100, ADDRESS, 0o644, 0)",
    "chown": "os.chown(given['secret'], os.getuid(), os.getgid())",
    "chown of what is open": "os.fchown(0, os.getuid(), os.getgid())",
    "utime": "os.utime(given['secret'], (1, 1))",
    "utime of what is open": "os.utime(0, (1, 1))",
    "utimes": "L.utimes(SECRET, None)",
    "setxattr": "os.setxattr(given['secret'], 'user.x', b'x')",
    "setxattr of what is open": "os.setxattr(0, 'user.x', b'x')",
    "getxattr": "os.getxattr(given['secret'], 'user.x')",
    "link": "os.link(given['secret'], given['fresh'])",
    "symlink": "os.symlink(given['secret'], given['fresh'])",
    "readlink": "os.readlink('/proc/self/exe')",
    "rename": "os.rename(given['secret'], given['fresh'])",
    "unlink": "os.unlink(given['secret'])",
    "truncate": "os.truncate(given['secret'], 0)",
    "truncate the answer": "os.ftruncate(1, 0)",
    "mkdir": "os.mkdir(given['fresh'])",
    "mkfifo": "os.mkfifo(given['fresh'])",
    "watch": "L.inotify_init1(0)",
    "fanotify": "L.fanotify_init(0, 0)",
}
OF_OTHERS = {
    "signal the parent": "os.kill(given['parent'], 0)",
    "signal a sibling": "os.kill(given['sibling'], 0)",
    "signal all": "os.kill(-1, 0)",
    "signal its own group": "os.killpg(0, 0)",
    "tgkill": "SYSCALL('tgkill', given['sibling'], given['sibling'], 0)",
    "tkill": "SYSCALL('tkill', given['sibling'], 0)",
    "queue a signal": "L.sigqueue(given['sibling'], 0, None)",
    "pidfd_open": "os.pidfd_open(given['sibling'])",
    "prlimit to set": "resource.prlimit(given['sibling'], resource.RLIMIT_NOFILE, (64, 64))",
    "prlimit to read": "resource.prlimit(given['sibling'], resource.RLIMIT_NOFILE)",
    "its own limits": "L.setrlimit(resource.RLIMIT_NOFILE, ctypes.create_string_buffer(16))",
    "setpriority": "os.setpriority(os.PRIO_PROCESS, given['sibling'], 19)",
    "setpriority of a user": "os.setpriority(os.PRIO_USER, 0, 19)",
    "getpriority": "os.getpriority(os.PRIO_PROCESS, given['sibling'])",
    "sched_setaffinity": "os.sched_setaffinity(given['sibling'], {0})",
    "sched_setscheduler": "os.sched_setscheduler(given['sibling'], os.SCHED_BATCH, os.sched_param(0))",
    "ioprio_set": "SYSCALL('ioprio_set', 1, given['sibling'], 0)",
    "getsid": "os.getsid(given['sibling'])",
    "getpgid": "os.getpgid(given['sibling'])",
    "setpgid": "os.setpgid(0, 0)",
    "ptrace": "L.ptrace(16, given['sibling'], None, None)",
    "ptrace of itself": "L.ptrace(0, 0, None, None)",
    "process_vm_readv": "SYSCALL('process_vm_readv', given['sibling'], 0, 0, 0, 0, 0)",
    "process_vm_writev": "SYSCALL('process_vm_writev', given['sibling'], 0, 0, 0, 0, 0)",
    "kcmp": "SYSCALL('kcmp', os.getpid(), given['sibling'], 0, 0, 0)",
    "process_madvise": "SYSCALL('process_madvise', 0, 0, 0, 0, 0)",
    "its parent's life": "L.prctl(1, 0, 0, 0, 0)",
    "dumpable": "L.prctl(4, 1, 0, 0, 0)",
    "a name": "L.prctl(15, b'init', 0, 0, 0)",
}
NEW_PROCESSES = {
    "fork": "FORK()",
    "vfork": "L.vfork()",
    "clone without CLONE_THREAD": "SYSCALL('clone', signal.SIGCHLD, 0, 0, 0, 0)",
    "clone of the memory": "SYSCALL('clone', 0x100 | 0x4000 | signal.SIGCHLD, 0, 0, 0, 0)",
    "clone into a new user namespace": "SYSCALL('clone', 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)",
    "thread in a new namespace": "SYSCALL('clone', 0x3d0f00 | 0x40000000, 0, 0, 0, 0)",
    "execve": "os.execve('/bin/true', ['true'], {})",
    "execveat": "SYSCALL('execveat', 0, ADDRESS, 0, 0, 0x1000)",
    "posix_spawn": "os.posix_spawn('/bin/true', ['true'], {})",
}
OBJECTS = {
    # Of a size, and by keys, that are theirs alone.
    "shmget": "L.shmget(given['key'], 4096, 0o1600)",
    "msgget": "L.msgget(given['key'], 0o1600)",
    "semget": "L.semget(given['key'], 1, 0o1600)",
    "shmat": "SYSCALL('shmat', 0, 0, 0)",
    "mq_open": "SYSCALL('mq_open', ADDRESS, 0o102, 0o600, 0)",
    "memfd_create": "os.memfd_create('x')",
    "pipe": "os.pipe()",
    "eventfd": "os.eventfd(0)",
    "epoll": "L.epoll_create1(0)",
    "timerfd": "L.timerfd_create(1, 0)",
    "signalfd": "SYSCALL('signalfd4', -1, 0, 8, 0)",
    "userfaultfd": "SYSCALL('userfaultfd', 1)",
    "interval timer": "signal.setitimer(signal.ITIMER_REAL, 100)",
    "timer": "SYSCALL('timer_create', 1, 0, 0)",
    "executable memory": "L.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_long(0))",
    "memory made executable": "L.mprotect(ctypes.c_void_p(PAGE), ctypes.c_size_t(4096), 5)",
    "key": "SYSCALL('add_key', 0, 0, 0, 0, -3)",
    "keyctl": "SYSCALL('keyctl', 0, -3, 0)",
}
NETWORK = {
    "socket of IPv4": "socket.socket(socket.AF_INET)",
    "socket of IPv6": "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
    "socket of Unix": "socket.socket(socket.AF_UNIX)",
    "netlink": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "socketpair": "socket.socketpair()",
    "connect": "L.connect(0, b'\\x01\\x00/x', 4)",
    "bind": "L.bind(0, b'\\x01\\x00/x', 4)",
    "sendto": "L.sendto(1, b'x', 1, 0, None, 0)",
    "sendmsg": "L.sendmsg(1, None, 0)",
}
KERNEL = {
    "mount": "L.mount(b'x', b'/', b'tmpfs', 0, None)",
    "umount": "L.umount2(b'/nowhere', 0)",
    "chroot": "os.chroot('/')",
    "pivot_root": "SYSCALL('pivot_root', ADDRESS, ADDRESS)",
    "new mounts": "SYSCALL('fsopen', ADDRESS, 0)",
    "unshare": "L.unshare(0x10000000)",
    "setns": "L.setns(0, 0)",
    "io_uring": "SYSCALL('io_uring_setup', 1, ADDRESS)",
    "bpf": "SYSCALL('bpf', 0, 0, 0)",
    "perf": "SYSCALL('perf_event_open', ADDRESS, 0, -1, -1, 0)",
    "module": "SYSCALL('init_module', 0, 0, 0)",
    "reboot": "SYSCALL('reboot', 0, 0, 0, 0)",
    "syslog": "SYSCALL('syslog', 3, ADDRESS, 1)",
    "hostname": "L.sethostname(b'x', 0)",
    "clock": "SYSCALL('clock_settime', 0, ADDRESS)",
    "setuid": "os.setuid(os.getuid())",
    "setgroups": "os.setgroups([])",
    "capset": "L.capset(struct.pack('=Ii', 0x20080522, 0), bytes(24))",
    "another filter": "SYSCALL('seccomp', 1, 0, ADDRESS)",
    "personality": "L.personality(0)",
    "terminal": "L.ioctl(0, 0x5412, b'x')",
    "size by ioctl": "L.ioctl(0, 0x541b, ctypes.create_string_buffer(8))",
    "flags of the parent's file": "L.fcntl(0, 4, 0o4000)",
    "owner of a file": "L.fcntl(0, 8, given['sibling'])",
    "lease": "L.fcntl(0, 1024, 0)",
    "lock": "L.fcntl(0, 6, ctypes.create_string_buffer(32))",
    "flock": "L.flock(0, 1)",
    "splice": "SYSCALL('splice', 0, 0, 1, 0, 1, 0)",
    "umask": "SYSCALL('umask', 0)",
}
ACTS = BY_PATH | OF_OTHERS | NEW_PROCESSES | OBJECTS | NETWORK | KERNEL

POSSIBLE_ELSEWHERE = (
    *("open to read", "open to write", "stat", "statx", "access", "list a folder", "chmod", "chown", "utime"),
    *("readlink", "chmod of what is open", "signal the parent", "signal a sibling", "tgkill", "pidfd_open"),
    *("prlimit to read", "prlimit to set", "setpriority", "getsid", "fork", "clone without CLONE_THREAD"),
    *("posix_spawn", "socket of IPv4", "socket of Unix", "socketpair", "memfd_create", "pipe", "eventfd", "epoll"),
    *("interval timer", "executable memory", "memory made executable", "flags of the parent's file", "mkdir"),
    *("shmget", "msgget", "semget", "dumpable", "a name"),
)
"""Acts that work where nothing is confined, which shows that they are tried right."""

TRY = """
NUMBERS = {
    # x86_64 and aarch64
    "open_by_handle_at": (304, 265), "openat2": (437, 437), "fchmodat2": (452, 452), "tgkill": (234, 131),
    "tkill": (200, 130), "ioprio_set": (251, 30), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "process_madvise": (440, 440), "clone": (56, 220), "execveat": (322, 281), "shmat": (30, 196),
    "mq_open": (240, 180), "signalfd4": (289, 74), "userfaultfd": (323, 282), "timer_create": (222, 107),
    "add_key": (248, 217), "keyctl": (250, 219), "pivot_root": (155, 41), "fsopen": (430, 430),
    "io_uring_setup": (425, 425), "bpf": (321, 280), "perf_event_open": (298, 241), "init_module": (175, 105),
    "reboot": (169, 142), "syslog": (103, 116), "seccomp": (317, 277), "splice": (275, 76),
    "clock_settime": (227, 112), "umask": (95, 166),
}
HERE = ("x86_64", "aarch64").index(os.uname().machine)
ZEROS = ctypes.create_string_buffer(512)
ADDRESS = ctypes.addressof(ZEROS)
SECRET = os.fsencode(given["secret"])
PAGE = L.mmap(None, ctypes.c_size_t(4096), 3, 0x22, -1, ctypes.c_long(0))
given["parent"] = os.getppid()

def SYSCALL(name, *arguments):
    made = L.syscall(ctypes.c_long(NUMBERS[name][HERE]), *map(ctypes.c_long, arguments))
    if made == 0 and name == "clone":
        os._exit(0)
    return made

def FORK():
    if os.fork() == 0:
        os._exit(0)
"""


def tries(names: tuple[str, ...] | list[str], *, confine: bool) -> str:
    """Return a program for `support.answer_of` that tries acts and returns their errors by name."""
    listed = ",\n".join(f"{name!r}: lambda: {ACTS[name]}" for name in names)
    confined = "confined(**given['policy'])" if confine else ""
    return f"{TRY}\nacts = {{{listed}}}\n{confined}\nanswer({{name: outcome(act) for name, act in acts.items()}})\n"
