"""A Docker engine for the tests, and base images for machines that reach no image registry.

    python -m tests.stacks.docker_engine start      an engine, unless one already answers
    python -m tests.stacks.docker_engine images     the same, and the stand-in base images
    python -m tests.stacks.docker_engine shell      the variables that point `docker` at it, for `eval "$(… shell)"`
    python -m tests.stacks.docker_engine stop       end the engine that this program started

Where `docker info` answers, that engine is used as it is. Otherwise a private one is started as root, with its own
data, socket and configuration below `.cache/docker`, and nothing of it outside.
"""

import hashlib
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.stacks.docker_client import ROOT, Engine, EngineUnavailableError, say, timed
from tests.stacks.oom_scores import may_lower_oom_score, write_runc_wrapper
from tests.stacks.standin_images import IMAGES, build_standins

CACHE = ROOT / ".cache" / "docker"
OPEN_FILES = 20_000  # the Erlang runtime reserves memory for every descriptor that it may open
START_TIMEOUT = 30.0
STOP_TIMEOUT = 60.0


def runtime_directory() -> Path:
    """Sockets live on a short path: theirs may have 107 bytes, and the repository's may be longer alone."""
    digest = hashlib.sha256(str(CACHE).encode()).hexdigest()[:10]
    return Path("/run") / f"marquee-docker-{digest}"


def private_engine() -> Engine:
    return Engine({"DOCKER_HOST": f"unix://{runtime_directory()}/docker.sock", "DOCKER_CONFIG": str(CACHE / "config")})


def usual_engine() -> Engine:
    """The engine that `docker` reaches anyway, with the unpacked plugins where it has none of its own."""
    usual = Engine()
    if all(usual.docker(plugin, "version", check=False).returncode == 0 for plugin in ("compose", "buildx")):
        return usual
    return Engine({"DOCKER_CONFIG": str(CACHE / "config")})


def start_engine() -> Engine:
    """The engine that answers, or else a private one that is started now and goes on until `stop_engine`."""
    if shutil.which("docker") is None:
        raise EngineUnavailableError("docker is not installed: run scripts/install-test-tools.sh --with-docker")
    usual = usual_engine()
    if usual.answers():
        say("using the engine that already answers")
        return usual
    private = private_engine()
    if private.answers():
        say("using the private engine that already runs")
        return private
    _start_private(private)
    return private


def _start_private(engine: Engine) -> None:
    if os.geteuid() != 0:
        raise EngineUnavailableError("a private Docker engine must be started as root, and no engine answers")
    for program in ("dockerd", "containerd", "iptables", "runc", "jq"):
        if shutil.which(program) is None and not Path("/usr/sbin", program).exists():
            raise EngineUnavailableError(f"{program} is missing: run scripts/install-test-tools.sh --with-docker")
    _, most_open_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most_open_files == resource.RLIM_INFINITY:
        most_open_files = OPEN_FILES
    open_files = min(OPEN_FILES, most_open_files)
    run = runtime_directory()
    run.mkdir(parents=True, exist_ok=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    (run / "docker.sock").unlink(missing_ok=True)
    (run / "dockerd.pid").unlink(missing_ok=True)
    wrapper = CACHE / "runc-without-oom-privilege"
    write_runc_wrapper(wrapper)
    settings = CACHE / "daemon.json"  # instead of the machine's own, which is meant for another engine
    settings.write_text("{}\n")
    log = CACHE / "dockerd.log"
    command = [
        "dockerd",
        *("--config-file", str(settings)),
        *("--data-root", str(CACHE / "data")),
        *("--exec-root", str(run / "exec")),
        *("--pidfile", str(run / "dockerd.pid")),
        *("--host", engine.environment["DOCKER_HOST"]),
        # No larger than any link between here and a package mirror, virtual ones included.
        *("--mtu", "1400"),
        *("--default-ulimit", f"nofile={open_files}:{open_files}"),
    ]
    if not may_lower_oom_score():
        command += ["--add-runtime", f"marquee={wrapper}", "--default-runtime", "marquee"]
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    with timed("engine started"):
        with log.open("w") as output:
            daemon = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | {"PATH": path},
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not engine.answers():
            ended = daemon.poll() is not None
            if ended or time.monotonic() > deadline:
                if not ended:
                    daemon.kill()
                    daemon.wait()
                lines = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                reason = "dockerd ended" if ended else f"dockerd did not answer within {START_TIMEOUT:g} s"
                raise EngineUnavailableError(f"{reason}; the end of {log}:\n{lines}")
            time.sleep(0.1)


def stop_engine() -> None:
    """End the private engine and its containers. Doing so when it does not run does nothing."""
    run = runtime_directory()
    try:
        pid = int((run / "dockerd.pid").read_text())
    except FileNotFoundError:
        pid = 0
    if not _is_ours(pid):
        say("no private engine runs")
        return
    engine = private_engine()
    running = engine.docker("ps", "--quiet", check=False).stdout.split()
    if running:
        engine.docker("kill", *running, check=False)
    with timed("engine stopped"):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT
        while _alive(pid):
            if time.monotonic() > deadline:
                raise RuntimeError(f"dockerd (process {pid}) does not end; see {CACHE / 'dockerd.log'}")
            time.sleep(0.05)
    shutil.rmtree(run, ignore_errors=True)


def _is_ours(pid: int) -> bool:
    """Whether it is the private engine, and no other process that got its number after a crash."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False
    return str(runtime_directory()).encode() in command


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def main(arguments: list[str]) -> int:
    command = arguments[0] if len(arguments) == 1 else ""
    try:
        if command == "start":
            start_engine()
        elif command == "images":
            build_standins(start_engine())
        elif command == "shell":
            usual = usual_engine()
            engine = usual if usual.answers() else private_engine()
            if not engine.answers():
                raise EngineUnavailableError("no engine runs: use `start` first")
            for name, value in {**engine.environment, **IMAGES}.items():
                sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
        elif command == "stop":
            stop_engine()
        else:
            sys.stderr.write(f"{__doc__}\n")
            return 2
    except EngineUnavailableError as error:
        sys.stderr.write(f"\nNO DOCKER ENGINE: {error}\n\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
