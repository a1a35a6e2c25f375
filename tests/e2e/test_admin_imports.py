"""Imports in the administration: one run, its progress and its report."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import LIMIT_MS, log_in, shoot
from tests.e2e.client import Client
from tests.stacks.base import wait_for
from tests.stacks.embedded import EmbeddedStack


def test_folder_is_imported_with_progress_and_report(
    browser: Browser, film: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    (folder / "Trains").mkdir()
    (folder / "Trains" / "Night mail.mp4").write_bytes(film.read_bytes())
    with EmbeddedStack(tmp_path_factory.mktemp("importing"), {"MARQUEE_IMPORT_DIR": str(folder)}) as house:
        context = browser.new_context(base_url=house.base_url, locale="en-US")
        context.set_default_timeout(LIMIT_MS)
        page = context.new_page()
        log_in(page)
        page.goto("/admin/imports")
        expect(page.get_by_test_id("empty")).to_be_visible()
        page.get_by_test_id("start-scan").click()
        page.get_by_test_id("scan-folder").fill("../elsewhere")
        page.get_by_test_id("dialog-submit").click()
        expect(page.get_by_test_id("problem")).to_contain_text("folder:")
        page.get_by_test_id("scan-folder").fill("Trains")
        page.get_by_test_id("dialog-submit").click()
        expect(page.locator("dialog[open]")).to_have_count(0)
        boss = Client(house.base_url)
        wait_for(lambda: boss.http.get("/api/admin/jobs").json()["items"][0]["status"] == "finished", 120, "the import")
        boss.close()
        page.get_by_test_id("refresh").click()
        expect(page.get_by_test_id("job-status")).to_have_text("Finished")
        page.get_by_test_id("job-link").click()
        report = page.get_by_test_id("job-report")
        expect(report).to_contain_text("Trains/Night mail.mp4")
        expect(report.get_by_test_id("job-counts")).to_have_text("added 1")
        shoot(page, house, "admin-import-report")
        context.close()
