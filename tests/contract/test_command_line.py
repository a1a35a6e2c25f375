"""The operator's command line, where it is only a way to what a service does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apps.marquee.__main__ import main
from services.auth.credentials.keys import SigningKeys


@pytest.mark.parametrize("named_by", ["option", "setting", "data folder"])
def test_key_file_is_found_and_rotated(
    named_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "signing.json"
    SigningKeys.load(path)
    monkeypatch.delenv("MARQUEE_SIGNING_KEY_FILE", raising=False)
    options = []
    match named_by:
        case "option":
            options = ["--file", str(path)]
        case "setting":
            monkeypatch.setenv("MARQUEE_SIGNING_KEY_FILE", str(path))
        case _:
            monkeypatch.setenv("MARQUEE_DATA_DIR", str(tmp_path))
    main(["keys", "rotate", *options])
    main(["keys", "rotate", "--compromised", *options])
    (key,) = json.loads(path.read_text())["keys"]
    assert f"Key {key['kid']} signs from " in capsys.readouterr().out


def test_failed_rotation_ends_with_a_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["keys", "rotate", "--file", str(tmp_path / "nothing.json")])
    assert capsys.readouterr().err.startswith("marquee: ")
