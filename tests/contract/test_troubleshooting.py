"""What docs/operations/troubleshooting.md names exists: error codes, metrics, log lines and settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kit.errors import ErrorCode

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations/troubleshooting.md").read_text()
SOURCE = "\n".join(
    path.read_text()
    for folder in ("libs/kit", "services")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "tests" not in path.parts
)
TABLE = PAGE.partition("## Error codes")[2].partition("## Metrics")[0]
CODE_SPANS = re.findall(r"`([^`\n]+)`", PAGE)


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_code_has_a_row_with_its_status(code: ErrorCode) -> None:
    rows = [line.split("|") for line in TABLE.splitlines() if line.startswith("|")]
    (row,) = [row for row in rows if f"`{code}`" in row[1]]
    assert row[2].strip() == str(code.http_status)


def test_every_setting_exists() -> None:
    settings = (ROOT / "docs/reference/settings.md").read_text()
    named = set(re.findall(r"MARQUEE_[A-Z0-9_]+[A-Z0-9]", PAGE))
    assert named
    assert not {name for name in named if f"`{name}`" not in settings}


def test_every_metric_exists_with_its_labels() -> None:
    rows = PAGE.partition("## Metrics")[2].splitlines()
    metrics = [span for row in rows for span in re.findall(r"`([^`]+)`", [*row.split("|"), "", ""][1])]
    assert metrics
    for metric in metrics:
        name, _, labels = metric.rstrip("}").partition("{")
        start = re.search(rf'"{name.removesuffix("_total")}(?:_total)?",', SOURCE)
        assert start, name
        # The call ends with a bracket at the end of a line, where it began or further on.
        registered = SOURCE[start.start() :].partition(")\n")[0]
        for label in filter(None, labels.split(", ")):
            assert f'"{label}"' in registered, metric


def test_every_log_line_and_field_exists() -> None:
    named = {span for span in CODE_SPANS if re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", span)}
    assert named >= {"grpc_call_failed", "stream_file_unavailable", "slots_unavailable"}
    missing = {name for name in named if not re.search(rf"\b{name.removesuffix('_total')}(?:_total)?\b", SOURCE)}
    assert not missing


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (ROOT / "docs/operations" / target).exists(), target
