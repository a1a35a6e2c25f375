"""A Docker engine for the tests, and base images for machines that reach no image registry.

    python tests/stacks/docker_engine.py start      an engine, unless one already answers
    python tests/stacks/docker_engine.py images     the same, and the stand-in base images
    python tests/stacks/docker_engine.py shell      the variables that point `docker` at it, for `eval "$(… shell)"`
    python tests/stacks/docker_engine.py stop       end the engine that this program started

Where `docker info` answers, that engine is used as it is. Otherwise a private one is started as root, with its own
data, socket and configuration below `.cache/docker`, and nothing of it outside.

The stand-ins are made out of Debian packages. They keep names of their own (`marquee-standin/postgres:15`), so that
they are not mistaken for the images that the compose file names by default.
"""

import hashlib
import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STANDINS = Path(__file__).resolve().parent / "standin"
CACHE = ROOT / ".cache" / "docker"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# Compose's variables and the images that stand in for their default values.
IMAGES = {
    "PYTHON_IMAGE": "marquee-standin/python:3.11",
    "NODE_IMAGE": "marquee-standin/node:24",
    "POSTGRES_IMAGE": "marquee-standin/postgres:15",
    "RABBITMQ_IMAGE": "marquee-standin/rabbitmq:3",
    "REDIS_IMAGE": "marquee-standin/redis:7",
    "NGINX_IMAGE": "marquee-standin/nginx:1",
}
OPEN_FILES = 20_000  # the Erlang runtime reserves memory for every descriptor that it may open
START_TIMEOUT = 30.0
STOP_TIMEOUT = 60.0
INPUTS_LABEL = "marquee.standin.inputs"
BASE_SUITE = "bookworm"
BASE_PACKAGES = "python3,python3-pip,python3-venv,ca-certificates"
BASE_HOOKS = (
    # What the Python images allow: this one has no other use for its Python.
    'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
    'ln -sf ../../bin/python3 "$1"/usr/local/bin/python',
)
BASE_CHANGES = (
    'CMD ["python3"]',
    "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8",
    # Every client that a build may use believes in the certificates that this machine believes in.
    *(
        f"ENV {name}={CERTIFICATES}"
        for name in (
            "PIP_CERT",
            "SSL_CERT_FILE",
            "REQUESTS_CA_BUNDLE",
            "NODE_EXTRA_CA_CERTS",
            "NPM_CONFIG_CAFILE",
        )
    ),
)


class EngineUnavailable(RuntimeError):  # noqa: N818 - reads as a sentence where it is raised
    """No Docker engine answers and none can be started here; the message says why."""


def say(message: str) -> None:
    """Tells what is being done; on standard error, which holds no answers."""
    sys.stderr.write(f"[docker] {message}\n")
    sys.stderr.flush()


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Tells how long the block took."""
    began = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - began:.1f} s")


@dataclass(frozen=True)
class Engine:
    """How to reach an engine: `environment` is what `docker` must see, on top of what it would see anyway."""

    environment: Mapping[str, str] = field(default_factory=dict)

    def docker(
        self, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path = ROOT, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the `docker` client; what it said is in the error when it fails."""
        done = subprocess.run(
            ["docker", *arguments],
            cwd=cwd,
            env={**os.environ, **self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"docker {shlex.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done

    def answers(self) -> bool:
        return self.docker("info", "--format", "{{.ServerVersion}}", check=False).returncode == 0


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
        raise EngineUnavailable("docker is not installed: run scripts/install-test-tools.sh --with-docker")
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
        raise EngineUnavailable("a private Docker engine must be started as root, and no engine answers")
    for program in ("dockerd", "containerd", "iptables", "runc", "jq"):
        if shutil.which(program) is None and not Path("/usr/sbin", program).exists():
            raise EngineUnavailable(f"{program} is missing: run scripts/install-test-tools.sh --with-docker")
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
    wrapper.write_text(_RUNC_WRAPPER)
    wrapper.chmod(0o755)
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
    if not _may_lower_oom_score():
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
                raise EngineUnavailable(f"{reason}; the end of {log}:\n{lines}")
            time.sleep(0.1)


def _may_lower_oom_score() -> bool:
    """Whether this machine's root may do what the engine asks for its own helpers: be spared by the OOM killer."""
    probe = "open('/proc/self/oom_score_adj', 'w').write('-500')"
    return subprocess.run([sys.executable, "-c", probe], capture_output=True, check=False).returncode == 0


_RUNC_WRAPPER = """#!/bin/bash
# Zeroes a negative OOM score in the container's description, which root may not set here, and hands over to runc.
bundle= previous= creating=
for argument in "$@"; do
    [ "$previous" = --bundle ] && bundle=$argument
    [ "$argument" = create ] && creating=yes
    previous=$argument
done
if [ -n "$creating" ] && [ -n "$bundle" ]; then
    changed=$(jq 'if (.process.oomScoreAdj // 0) < 0 then .process.oomScoreAdj = 0 else . end' "$bundle/config.json")
    printf '%s' "$changed" > "$bundle/config.json"
fi
exec runc "$@"
"""


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


# --- stand-in base images ----------------------------------------------------------------------------------------


def build_standins(engine: Engine) -> dict[str, str]:
    """Make the images that are missing or out of date. The answer is what compose and builds must see."""
    with timed("stand-in images"):
        base = _build_base(engine)
        for image in IMAGES.values():
            if image != IMAGES["PYTHON_IMAGE"]:
                _build_on_base(engine, image, base)
    return dict(IMAGES)


def _build_base(engine: Engine) -> str:
    image = IMAGES["PYTHON_IMAGE"]
    if shutil.which("mmdebstrap") is None:
        raise EngineUnavailable("mmdebstrap is missing: run scripts/install-test-tools.sh --with-docker")
    mirror = subprocess.run(
        [str(ROOT / "scripts" / "install-test-tools.sh"), "--print-mirror"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not mirror:
        raise EngineUnavailable("apt's configuration names no Debian mirror to make base images from")
    pip_settings = _pip_settings()
    recipe = (mirror, pip_settings, BASE_SUITE, BASE_PACKAGES, *BASE_HOOKS, *BASE_CHANGES)
    inputs = _digest(CERTIFICATES.read_bytes(), *(part.encode() for part in recipe))

    def build() -> None:
        with tempfile.TemporaryDirectory(prefix="marquee-standin-") as scratch:
            settings = Path(scratch) / "pip.conf"
            settings.write_text(pip_settings)
            rootfs = Path(scratch) / "rootfs.tar"
            hooks = [
                # The machine's certificates, for one that reaches its package mirrors through a gateway of its own.
                f"copy-in {CERTIFICATES} /etc/ssl/certs",
                f"copy-in {settings} /etc",
                *BASE_HOOKS,
            ]
            subprocess.run(
                [
                    *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={BASE_PACKAGES}"),
                    *(f"--customize-hook={hook}" for hook in hooks),
                    *(BASE_SUITE, str(rootfs), mirror),
                ],
                check=True,
            )
            changes = (*BASE_CHANGES, f"LABEL {INPUTS_LABEL}={inputs}")
            engine.docker("import", *(part for change in changes for part in ("--change", change)), str(rootfs), image)

    return _build_unless_current(engine, image, inputs, build)


def _pip_settings() -> str:
    """The part of this machine's pip configuration that also holds inside a container."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    found: dict[str, str] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        option = name.rpartition(".")[2]
        # An index that is a folder of this machine is none in there.
        addresses = [word for word in value.strip("'\"").split() if re.match(r"https?://", word)]
        if option in {"index-url", "extra-index-url", "proxy"} and addresses:
            found[option] = " ".join(addresses)
    return "[global]\n" + "".join(f"{option} = {value}\n" for option, value in sorted(found.items()))


def _build_on_base(engine: Engine, image: str, base: str) -> None:
    source = STANDINS / image.partition("/")[2].partition(":")[0]
    files = sorted(path for path in source.rglob("*") if path.is_file())
    inputs = _digest(base.encode(), *(path.read_bytes() for path in files))

    def build() -> None:
        proxies = [name for name in os.environ if name.lower() in {"http_proxy", "https_proxy", "no_proxy"}]
        engine.docker(
            *("buildx", "build", "--quiet", "--load"),
            *("--tag", image, "--label", f"{INPUTS_LABEL}={inputs}"),
            *(part for name in proxies for part in ("--build-arg", name)),
            str(source),
        )

    _build_unless_current(engine, image, inputs, build)


def _build_unless_current(engine: Engine, image: str, inputs: str, build: Callable[[], None]) -> str:
    seen = engine.docker("image", "inspect", image, check=False)
    labels = json.loads(seen.stdout)[0]["Config"]["Labels"] if seen.returncode == 0 else {}
    if (labels or {}).get(INPUTS_LABEL) == inputs:
        say(f"{image}: as it was")
    else:
        with timed(f"{image}: made"):
            build()
    return inputs


def _digest(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:16]


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
                raise EngineUnavailable("no engine runs: use `start` first")
            for name, value in {**engine.environment, **IMAGES}.items():
                sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
        elif command == "stop":
            stop_engine()
        else:
            sys.stderr.write(f"{__doc__}\n")
            return 2
    except EngineUnavailable as error:
        sys.stderr.write(f"\nNO DOCKER ENGINE: {error}\n\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
