"""Base images for machines that reach no image registry.

The stand-ins are made out of Debian packages. They keep names of their own (`marquee-standin/postgres:15`), so that
they are not mistaken for the images that the compose file names by default.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.stacks.docker_client import ROOT, Engine, EngineUnavailableError, say, timed

STANDINS = Path(__file__).resolve().parent / "standin"
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
        raise EngineUnavailableError("mmdebstrap is missing: run scripts/install-test-tools.sh --with-docker")
    mirror = subprocess.run(
        [str(ROOT / "scripts" / "install-test-tools.sh"), "--print-mirror"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not mirror:
        raise EngineUnavailableError("apt's configuration names no Debian mirror to make base images from")
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
