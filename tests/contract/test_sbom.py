"""What images are made of is listed, with licences; NOTICE says what the licence of FFmpeg asks for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from typing import Any

import pytest

from apps.marquee.embedded import SERVICES
from tests.stacks.base import REPOSITORY


def is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def components(service: str) -> dict[str, dict[str, Any]]:
    lock = REPOSITORY / "requirements" / f"{service}.txt"
    command = [sys.executable, str(REPOSITORY / "scripts" / "sbom"), service, str(lock)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    document = json.loads(printed)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    assert document["metadata"]["component"]["name"] == f"marquee/{service}"
    return {one["purl"] if "purl" in one else one["name"]: one for one in document["components"]}


@pytest.mark.parametrize("service", SERVICES)
def test_every_package_of_a_lock_is_listed_with_a_licence(service: str) -> None:
    listed = {name: one for name, one in components(service).items() if name.startswith("pkg:pypi/")}
    lock = (REPOSITORY / "requirements" / f"{service}.txt").read_text()
    unconditional = set(re.findall(r"^([a-z0-9][a-z0-9._-]*)==[^ ;]+ \\$", lock, re.MULTILINE))
    # The set for developing may lack what another one names for a platform.
    installed = {name for name in unconditional if is_installed(name)}
    assert len(installed) > 20
    assert installed <= {one["name"] for one in listed.values()}
    for one in listed.values():
        assert one["licenses"][0]["license"]["name"], one


def test_ffmpeg_is_listed_with_its_licences_as_notice_has_them() -> None:
    assert "ffmpeg" not in components("auth")
    ffmpeg = components("thumbnailer")["ffmpeg"]
    licences = " ".join(one["license"]["name"] for one in ffmpeg["licenses"])
    assert "LGPL version 3 or later" in licences
    notice = " ".join((REPOSITORY / "NOTICE").read_text().split())
    assert "LGPL version 3 or later" in notice
    for name in re.findall(r"for (\w+), which it is linked with", licences):
        assert f"linked with libx264 and {name}" in notice or f"linked with {name}" in notice
    assert ("GPL version 2 or later" in licences) == ("GPL version 2 or later" in notice)
