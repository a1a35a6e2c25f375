"""Run pieces of Python in confined processes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import sandbox
from sandbox.run import Child, answer_file

LIBS = str(Path(sandbox.__file__).parents[1])
DEADLINE_SEC = 60.0
OTHER_USER = 65534
NOTHING = Path("/dev/null")
USERS = [os.getuid(), OTHER_USER] if os.getuid() == 0 else [os.getuid()]
"""Who a process may be in these tests: root can be others."""

HEAD = f"""
import ctypes, errno, json, os, resource, signal, socket, struct, sys, tempfile, threading, time
sys.path.append({LIBS!r})
from sandbox import landlock, seccomp
from sandbox.confine import Policy, confine
from sandbox.errors import SandboxError
from sandbox.limits import Limits

given = json.loads(sys.argv[1])
if given["user"] != os.getuid():
    os.setgroups([])
    os.setgid(given["user"])
    os.setuid(given["user"])
L = ctypes.CDLL(None, use_errno=True)
L.syscall.restype = L.mmap.restype = ctypes.c_long
LIMITS = Limits(memory_bytes=2**30, cpu_sec=30, file_bytes=2**20)

def confined(**policy):
    return confine(Policy(LIMITS, **policy), given["parent"])

def answer(results):
    os.write(1, json.dumps(results).encode())
    os._exit(0)

def outcome(action):
    '''0 if it worked, or else the number of its error.'''
    ctypes.set_errno(0)
    try:
        result = action()
    except OSError as error:
        return error.errno
    return ctypes.get_errno() if result == -1 else 0
"""


def start_program(
    body: str, *, user: int | None = None, stdin: Path = Path("/dev/null"), **more: object
) -> tuple[Child, Any]:
    """Start a process that does `body` after `HEAD`; return it and the file of its answer."""
    given = json.dumps({"user": os.getuid() if user is None else user, "parent": os.getpid()} | more)
    answer = answer_file()
    with stdin.open("rb") as source:
        child = Child(
            [sys.executable, "-I", "-S", "-B", "-c", HEAD + body, given],
            stdin=source.fileno(),
            stdout=answer.fileno(),
        )
    return child, answer


def answer_of(body: str, *, user: int | None = None, stdin: Path = NOTHING, **more: object) -> Any:
    """Return the output of `body`."""
    child, answer = start_program(body, user=user, stdin=stdin, **more)
    with answer:
        status = child.wait(DEADLINE_SEC)
        answer.seek(0)
        text = answer.read()
    assert status == 0, (status, text)
    return json.loads(text)


def status_of(body: str, **more: Any) -> int:
    """Return the exit status of a process that does `body`."""
    child, answer = start_program(body, **more)
    with answer:
        return child.wait(DEADLINE_SEC)
