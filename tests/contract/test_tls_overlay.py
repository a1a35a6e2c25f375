"""HTTPS by compose: what the overlay changes, and how `MARQUEE_DOMAIN=… make up` turns it on."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.contract.test_manifests import overlay_services
from tests.stacks.base import REPOSITORY

COMPOSE = REPOSITORY / "deploy" / "compose"
OVERLAY = "deploy/compose/tls.yml"


def test_gateway_is_reached_through_the_proxy_only_and_trusts_it() -> None:
    gateway = overlay_services("tls.yml")["gateway"]
    assert gateway["ports"] is None
    trusted = gateway["environment"]["MARQUEE_TRUSTED_PROXIES"].split(",")
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} < set(trusted)
    assert trusted[-1] == "${MARQUEE_TRUSTED_PROXIES:-}"
    assert gateway["environment"]["MARQUEE_HSTS_SEC"] == "${MARQUEE_HSTS_SEC:-31536000}"


def test_proxy_is_confined_and_keeps_its_certificates() -> None:
    proxy = overlay_services("tls.yml")["caddy"]
    assert proxy["read_only"] is True
    assert (proxy["cap_drop"], proxy["cap_add"]) == (["ALL"], ["NET_BIND_SERVICE"])
    assert proxy["security_opt"] == ["no-new-privileges:true"]
    assert "caddy:/data" in proxy["volumes"]
    assert all(volume.endswith(":ro") for volume in proxy["volumes"] if volume != "caddy:/data")
    assert proxy["networks"] == ["outside"]


def test_env_example_has_every_setting_of_the_overlay() -> None:
    used = set(re.findall(r"\$\{(MARQUEE_[A-Z_]+)", (COMPOSE / "tls.yml").read_text())) - {"MARQUEE_COOP"}
    offered = set(re.findall(r"^#?(MARQUEE_[A-Z_]+)=", (REPOSITORY / ".env.example").read_text(), re.MULTILINE))
    assert used <= offered


def test_every_kind_of_certificates_is_offered_and_every_variable_is_given() -> None:
    caddyfile = (COMPOSE / "caddy" / "Caddyfile").read_text()
    kinds = set(re.findall(r"^\((\w+)\) \{$", caddyfile, re.MULTILINE))
    sentence = re.search(r"^# Certificates: (.*)$", (REPOSITORY / ".env.example").read_text(), re.MULTILINE)
    assert sentence is not None
    assert kinds == {"automatic", "own", "internal"} == kinds & set(re.findall(r"\w+", sentence[1]))
    assert set(re.findall(r"\{\$(\w+)\}", caddyfile)) <= overlay_services("tls.yml")["caddy"]["environment"].keys()
    assert caddyfile.startswith("{\n"), "Caddy takes global options from the first block only"
    assert caddyfile.count("{") == caddyfile.count("}")


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """A folder with the script, and the .env of an installation in it."""
    (tmp_path / "scripts").mkdir()
    for name in ("set-domain", "set-env"):
        shutil.copy(REPOSITORY / "scripts" / name, tmp_path / "scripts")
    path = tmp_path / ".env"
    path.write_text("MARQUEE_HTTP_PORT=8080\n#MARQUEE_DOMAIN=films.example\nREDIS_PASSWORD=pass=word\n")
    return path


def set_domain(env: Path, domain: str | None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **({} if domain is None else {"MARQUEE_DOMAIN": domain})}
    script = env.parent / "scripts" / "set-domain"
    return subprocess.run([script], env=environment, capture_output=True, text=True, check=False, timeout=60)


def settings(env: Path) -> list[str]:
    return [line for line in env.read_text().splitlines() if line.startswith(("MARQUEE_DOMAIN", "COMPOSE_FILE"))]


def test_domain_turns_https_on_and_leaves_the_rest(env: Path) -> None:
    for domain in ("films.example", "films.example", "other.example"):
        assert set_domain(env, domain).returncode == 0
        assert settings(env) == [f"MARQUEE_DOMAIN={domain}", f"COMPOSE_FILE=docker-compose.yml:{OVERLAY}"]
        assert {"MARQUEE_HTTP_PORT=8080", "REDIS_PASSWORD=pass=word"} < set(env.read_text().splitlines())
        assert stat.S_IMODE(env.stat().st_mode) == 0o600


def test_other_overlays_stay(env: Path) -> None:
    files = "docker-compose.yml:deploy/compose/origins.yml"
    with env.open("a") as more:
        more.write(f"COMPOSE_FILE={files}\n")
    for _ in range(2):
        assert set_domain(env, "films.example").returncode == 0
        assert settings(env)[-1] == f"COMPOSE_FILE={files}:{OVERLAY}"


@pytest.mark.parametrize("domain", [None, ""])
def test_without_a_domain_nothing_changes(env: Path, domain: str | None) -> None:
    before = env.read_text()
    assert set_domain(env, domain).returncode == 0
    assert env.read_text() == before


@pytest.mark.parametrize(
    "domain", ["https://films.example", "films.example:443", "a b", "-a.example", "a\nB=c", "{$X}"]
)
def test_domain_that_is_no_name_is_refused(env: Path, domain: str) -> None:
    before = env.read_text()
    answer = set_domain(env, domain)
    assert answer.returncode == 2
    assert "MARQUEE_DOMAIN can't be used" in answer.stderr
    assert env.read_text() == before


def test_make_up_turns_it_on() -> None:
    recipe = (REPOSITORY / "Makefile").read_text().partition("\nup: env")[2].partition("\n\n")[0]
    assert recipe.index("scripts/set-domain") < recipe.index("$(COMPOSE) up")
