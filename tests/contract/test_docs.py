"""The documents are true: links lead somewhere, `make` targets exist, and each command was run here or says why not."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.client import Client
from tests.stacks.base import ADMIN_LOGIN, ADMIN_PASSWORD, REPOSITORY
from tests.stacks.embedded import EmbeddedStack

PAGES = sorted(
    REPOSITORY / name
    for name in subprocess.check_output(["git", "ls-files", "*.md"], cwd=REPOSITORY, text=True).splitlines()
)
RUN_HERE = {
    "marquee upload FILM…",
    'marquee upload "Night train.mp4" --title "Night train"',
    "marquee upload ~/films /mnt/nas/films --jobs 4",
    "marquee upload ~/films --dry-run",
    "marquee upload ~/films --json --no-wait",
    "curl -u admin:PASSWORD -r 0-1023 http://127.0.0.1:8080/api/videos/ID/stream",
    "marquee import - < films.txt",
    "MARQUEE_IMPORT_DIR=/mnt/films marquee import /mnt/films",
    (
        "curl -u admin:PASSWORD https://marquee.example/api/imports -H 'Content-Type: application/json' "
        '-d \'{"location": "https://films.example/noir/1.mp4", "title": "The Third Man", "tags": ["noir"]}\''
    ),
    ".venv/bin/python -m loadtest.bench --help",
}
NOT_RUN = {
    "kubectl apply -k deploy/k8s/base": "needs a cluster; test_manifests.py checks what it would send",
    "marquee import https://films.example/noir/1.mp4 s3://bucket/noir/2.mp4": "needs those machines; "
    "tests/e2e/test_imports.py imports from an origin and from S3 of its own",
    "marquee dead-letters list": "needs dead letters; test_dead_letter_commands.py has its own",
    "marquee dead-letters show thumbnailer.jobs:EVENT": "likewise",
    "marquee dead-letters replay thumbnailer.jobs:EVENT": "likewise",
    "marquee dead-letters replay --queue thumbnailer.jobs": "likewise",
    "MARQUEE_DOMAIN=films.example make up": "needs containers and a domain; test_tls_overlay.py has its parts",
    "git pull": "needs a repository to pull from",
    "docker compose logs --no-log-prefix | grep REQUEST_ID": "needs containers; tests/stacks/compose.py reads logs",
}
MAKE_TESTED_BY = {
    "run": "tests/contract/test_second_run.py starts it, tests/stacks/embedded.py all that follows it",
    "demo": "renders six films, a minute of two processors; scripts/take-screenshots runs it",
    "test": "continuous integration runs it: .ci/run",
    "check": "runs this test's neighbours: it would run itself",
    "help": "run here",
    "up": "tests/stacks/compose.py does what it does, on an engine of its own",
    "down": "tests/stacks/compose.py",
    "upgrade": "tests/e2e/test_upgrade.py runs its script",
    "rollback": "tests/e2e/test_upgrade.py runs its script",
    "migration": "test_new_migration.py, on a copy",
    "bench": "loadtest/bench/tests; the run itself takes minutes",
}
"""Which test runs what is behind a target that is a command of the documents."""
_BLOCK = re.compile(r"^[ ]*```sh\n(.*?)^[ ]*```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_INLINE_MAKE = re.compile(r"`make ((?:[a-z0-9-]+ ?)+)")
_ROWS = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def commands() -> dict[str, str]:
    """Return each command of the documents' shell blocks, with a page that has it."""
    found = {}
    for page in PAGES:
        for block in _BLOCK.findall(page.read_text()):
            for line in re.sub(r"\\\n\s*", "", block).splitlines():
                if command := re.sub(r"(^|\s+)#\s.*$", "", line).strip():
                    found[command] = str(page.relative_to(REPOSITORY))
    return found


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    names = set()
    for heading in _ROWS.findall(text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        names.add(re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-"))
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for link in (first or second for first, second in _LINK.findall(text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_command_of_the_documents_is_run_or_has_a_reason() -> None:
    found = {command: page for command, page in commands().items() if not command.startswith("make ")}
    assert {command: page for command, page in found.items() if command not in RUN_HERE | set(NOT_RUN)} == {}
    assert set(found) >= RUN_HERE, "a command that no page has any more"


def test_every_make_command_is_a_target() -> None:
    targets = {command.split()[1]: command for command in commands() if command.startswith("make ")}
    assert set(targets) == set(MAKE_TESTED_BY)
    for command in targets.values():
        dry = subprocess.run([*shlex.split(command), "-n"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert dry.returncode == 0, (command, dry.stderr)
    listed = subprocess.check_output(["make", "help"], cwd=REPOSITORY, text=True)
    assert all(target in listed for target in targets)


def test_targets_named_in_sentences_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for names in _INLINE_MAKE.findall(page.read_text()):
            assert set(names.split()) <= targets, (page, names)


class Site:
    """A running Marquee, and a folder of films to import."""

    def __init__(self, stack: EmbeddedStack, folder: Path, film: Path) -> None:
        self.folder = folder
        self.films = folder / "films"
        self.films.mkdir()
        for number in range(3):
            shutil.copy(film, self.films / f"{number}.mp4")
        # Not taken from the folder, as its name does not end like a film's, so that no other command imports it first.
        shutil.copy(film, self.films / "one.film")
        (folder / "films.txt").write_text(f"{self.films / '0.mp4'}\n")
        self.stack = stack
        self.admin = Client(stack.base_url)
        self.video_id = self.admin.upload(film)
        self.admin.await_status(self.video_id, "ready")
        self.film = film

    def run(self, command: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command of the documents, with what stands in it for the reader's own put in."""
        for text, value in {
            "http://127.0.0.1:8080": self.stack.base_url,
            "https://marquee.example": self.stack.base_url,
            "admin:PASSWORD": shlex.quote(f"{ADMIN_LOGIN}:{ADMIN_PASSWORD}"),
            "/ID/": f"/{self.video_id}/",
            "FILM…": shlex.quote(str(self.film)),
            "https://films.example/noir/1.mp4": "one.film",
            "/mnt/films": str(self.films),
            "/mnt/nas/films": str(self.films),
            "~/films": str(self.films),
            '"Night train.mp4"': shlex.quote(str(self.film)),
            ".venv/bin/python": str(REPOSITORY / ".venv" / "bin" / "python"),
            "curl ": "curl -sS --fail-with-body ",
        }.items():
            command = command.replace(text, value)
        environment = os.environ | {
            "PATH": f"{REPOSITORY / '.venv' / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(str(REPOSITORY / part) for part in ("", "libs", "libs/protos")),
            "MARQUEE_URL": self.stack.base_url,
            "MARQUEE_ADMIN_PASSWORD": ADMIN_PASSWORD,
            "MARQUEE_IMPORT_DIR": str(self.films),
            "XDG_STATE_HOME": str(self.folder / "state"),
        }
        return subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=environment, capture_output=True, check=False, timeout=600
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, film: Path) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("docs")
    with EmbeddedStack(folder, {"MARQUEE_IMPORT_DIR": str(folder / "films")}) as stack:
        made = Site(stack, folder, film)
        yield made
        made.admin.close()


@pytest.mark.parametrize("command", sorted(RUN_HERE))
def test_command_works_as_written(site: Site, command: str) -> None:
    result = site.run(command)
    assert result.returncode == 0, (result.stdout[-2000:], result.stderr[-2000:])
    if "-r 0-1023" in command:
        assert result.stdout == site.film.read_bytes()[:1024]
