from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.bench import media
from loadtest.bench.media import UnusableFolderError, file_system, has_nowait, make_media


def test_files_have_their_size_and_nothing_repeats(tmp_path: Path) -> None:
    made = make_media(tmp_path, 3 << 20)
    content = (tmp_path / made.film.reference).read_bytes()
    assert len(content) == made.film.size == 3 << 20
    blocks = [content[at : at + 4096] for at in range(0, len(content), 4096)]
    assert len(set(blocks)) == len(blocks)
    assert (tmp_path / made.clip.reference).stat().st_size == made.clip.size
    assert made.slow_folder.is_dir()


def test_folder_in_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "file_system", lambda _: "tmpfs")
    with pytest.raises(UnusableFolderError, match="tmpfs is no disk"):
        make_media(tmp_path, 1 << 20)


def test_files_that_do_not_fit_are_refused_beforehand(tmp_path: Path) -> None:
    with pytest.raises(UnusableFolderError, match="don't fit"):
        make_media(tmp_path, 1 << 60)


def test_file_systems_are_known_by_name() -> None:
    assert file_system(Path("/proc")) == "proc"
    assert not has_nowait(Path("/proc/self/status"))
