"""What containers may do and use, as the kernel of a real engine sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.stacks.compose import ComposeStack


def running(stack: ComposeStack) -> list[dict[str, Any]]:
    described: list[dict[str, Any]] = json.loads(stack.docker("inspect", *stack.compose("ps", "--quiet").split()))
    assert len(described) == 10, "one of each, and two of stream"
    return described


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("stack", ["compose"], indirect=True)
def test_no_container_is_root_or_has_a_capability(stack: ComposeStack) -> None:
    for container in running(stack):
        status = status_of(container["State"]["Pid"])
        assert set(status["Uid"].split()).isdisjoint({"0"}), container["Name"]
        assert int(status["CapEff"], 16) == 0, container["Name"]
        assert status["NoNewPrivs"] == "1", container["Name"]


@pytest.mark.parametrize("stack", ["compose"], indirect=True)
def test_every_container_has_limits_and_a_read_only_root(stack: ComposeStack) -> None:
    for container in running(stack):
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"], container["Name"]
        assert 0 < host["Memory"] <= 4 << 30, container["Name"]
        assert 0 < host["PidsLimit"] <= 1024, container["Name"]
        assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "5"}, container["Name"]
