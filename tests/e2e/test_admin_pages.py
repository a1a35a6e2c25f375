"""The house run from a browser: videos, trash, users, corporations, imports, dead letters and logs."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, ViewportSize, expect

from tests.conftest import IN_ONE_PROCESS
from tests.e2e.browser import log_in, shoot
from tests.e2e.client import Client, make_film, new_member
from tests.stacks.base import Stack, wait_for

pytestmark = IN_ONE_PROCESS

PHONE = ViewportSize(width=390, height=844)
FITS = "document.documentElement.scrollWidth <= innerWidth"
PASSWORD = "longer than eight"
HEADINGS = {
    "": ("Administration", "관리"),
    "/contents": ("Videos", "영상"),
    "/users": ("Users", "사용자"),
    "/corporations": ("Corporations", "법인"),
    "/trash": ("Trash", "휴지통"),
    "/licences": ("Licences", "라이선스"),
    "/series": ("Series", "시리즈"),
    "/highlights": ("Highlights", "하이라이트"),
    "/titles": ("Titles", "제목 만들기"),
    "/points": ("Points", "포인트"),
    "/health": ("Health", "상태"),
    "/imports": ("Imports", "가져오기"),
    "/dead-letters": ("Dead letters", "실패한 이벤트"),
    "/audit": ("Audit log", "감사 기록"),
    "/views": ("View log", "시청 로그"),
}


@pytest.fixture
def tag() -> str:
    """A tag of this test's films, which no other test uses."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
def films(admin: Client, tag: str, tmp_path: Path) -> dict[str, str]:
    """The ids of three films by title."""
    ids: dict[str, str] = {}
    for number, title in enumerate(("Amber", "Birch", "Cedar"), start=1):
        # Each has bytes of its own, so that none is a duplicate.
        path = make_film(tmp_path / f"{title}.mp4", seconds=number + 1)
        ids[title] = str(admin.await_status(admin.upload(path, title), "ready")["id"])
        assert admin.http.patch(f"/api/videos/{ids[title]}", json={"tags": [tag]}).is_success
    return ids


@pytest.fixture
def corporation(admin: Client, tag: str) -> Iterator[dict[str, Any]]:
    """A corporation of this test."""
    answer = admin.http.post("/api/corporations", json={"name": f"Acme {tag}"})
    assert answer.status_code == 201, answer.text
    yield answer.json()
    admin.http.delete(f"/api/corporations/{answer.json()['id']}")


def row_of(page: Page, text: str) -> Locator:
    return page.get_by_test_id("data-row").filter(has_text=text)


def titles(page: Page) -> list[str]:
    return page.locator("[data-testid=data-row] .content-name > :first-child").all_inner_texts()


def submit(page: Page) -> None:
    """Press the button of the open dialog and wait until it has closed."""
    page.get_by_test_id("dialog-submit").click()
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_videos_are_found_edited_moved_deleted_and_restored(
    page: Page, stack: Stack, admin: Client, films: dict[str, str], corporation: dict[str, Any], tag: str
) -> None:
    log_in(page)
    page.get_by_role("link", name="Admin", exact=True).click()
    page.get_by_test_id("admin-nav").get_by_role("link", name="Videos").click()
    page.wait_for_function("() => document.activeElement.textContent === 'Videos'")
    expect(page).to_have_title("Videos · Marquee")

    # Filters and order are in the address.
    filters = page.get_by_test_id("filters")
    filters.get_by_label("Tag").fill(tag)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/admin/contents?tag={tag}")
    expect(page.get_by_test_id("data-row")).to_have_count(3)
    assert titles(page) == ["Cedar", "Birch", "Amber"]
    page.get_by_role("button", name=re.compile("^Title")).press("Enter")
    page.wait_for_url(re.compile("sort=title"))
    expect(page.get_by_role("columnheader", name="Title")).to_have_attribute("aria-sort", "ascending")
    expect(page.locator(".content-name").first).to_have_text("Amber")
    page.reload()
    expect(page.locator(".content-name").first).to_have_text("Amber")
    assert titles(page) == ["Amber", "Birch", "Cedar"]
    page.go_back()
    expect(page.locator(".content-name").first).to_have_text("Cedar")

    # Two are selected by keyboard and moved.
    page.get_by_role("checkbox", name="Select Cedar").press("Space")
    page.get_by_role("checkbox", name="Select Birch").press("Space")
    expect(page.get_by_test_id("bulk-bar")).to_contain_text("2 selected")
    shoot(page, stack, "admin-contents")
    page.get_by_test_id("bulk-move").press("Enter")
    page.get_by_test_id("form-dialog").get_by_label("Corporation").select_option(corporation["id"])
    submit(page)
    expect(page.get_by_test_id("notice")).to_contain_text("2 done")
    expect(row_of(page, "Cedar")).to_contain_text(corporation["name"])
    assert admin.video(films["Birch"])["corporation_id"] == corporation["id"]
    assert admin.video(films["Amber"])["corporation_id"] is None

    # One is renamed in a dialog, which gives the focus back.
    row_of(page, "Amber").get_by_test_id("edit-content").press("Enter")
    page.get_by_test_id("edit-title").fill("Amber and ash")
    submit(page)
    expect(row_of(page, "Amber and ash")).to_be_visible()
    page.wait_for_function("() => document.activeElement.dataset.testid === 'edit-content'")
    assert admin.video(films["Amber"])["tags"] == [tag], "what was left as it was has not changed"

    # All are deleted, after a question.
    page.get_by_test_id("select-all").press("Space")
    page.get_by_test_id("bulk-delete").click()
    expect(page.get_by_test_id("confirm-dialog")).to_contain_text("Delete the selected videos (3)?")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("data-row")).to_have_count(3)
    page.get_by_test_id("bulk-delete").click()
    submit(page)
    expect(page.get_by_test_id("empty")).to_have_text("Nothing matches these filters.")

    page.get_by_test_id("admin-nav").get_by_role("link", name="Trash").click()
    row_of(page, "Birch").get_by_test_id("restore").first.click()
    expect(page.get_by_test_id("notice")).to_contain_text("Birch is back")
    assert admin.video(films["Birch"])["status"] == "ready"
    shoot(page, stack, "admin-trash")


def test_failed_video_says_why_in_both_languages(page: Page, admin: Client, tag: str, tmp_path: Path) -> None:
    path = tmp_path / "holiday.mp4"
    path.write_text(f"This is no film. {tag}" * 200)
    with path.open("rb") as file:
        answer = admin.http.post("/api/videos", data={"title": tag}, files={"file": (path.name, file, "video/mp4")})
    video_id = str(answer.json()["id"])
    admin.await_status(video_id, "failed")
    log_in(page)
    page.goto(f"/admin/contents?status=failed&query={tag}")
    row = page.locator(f"[data-row-id='{video_id}']")
    expect(row.get_by_test_id("failure")).to_contain_text("This is not a video file, whatever its name says.")
    page.get_by_test_id("lang-ko").click()
    expect(row.get_by_test_id("failure")).to_contain_text("이름과 달리 영상 파일이 아닙니다.")
    admin.http.delete(f"/api/videos/{video_id}")


def test_user_is_created_helped_suspended_and_deleted(page: Page, stack: Stack, admin: Client, tag: str) -> None:
    log_in(page)
    page.goto("/admin/users")
    page.get_by_test_id("new-user").click()
    page.get_by_test_id("new-user-login").fill(tag)
    page.get_by_test_id("new-user-name").fill(f"Mina {tag}")
    page.get_by_test_id("new-user-password").fill(PASSWORD)
    submit(page)
    page.goto(f"/admin/users?query={tag}")
    row = row_of(page, tag)
    expect(row).to_contain_text("Active")
    assert Client(stack.base_url, tag, PASSWORD).user["role"] == "member"

    row.get_by_test_id("change-user").click()
    page.get_by_test_id("form-dialog").get_by_label("Role").select_option("admin")
    submit(page)
    expect(row).to_contain_text("Administrator")

    row.get_by_test_id("reset-user").click()
    page.get_by_test_id("dialog-submit").click()
    code = page.get_by_test_id("reset-code").inner_text()
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    reset = httpx.post(f"{stack.base_url}/api/auth/reset", json={"code": code, "password": "another long one"})
    assert reset.status_code == 204, reset.text
    Client(stack.base_url, tag, "another long one").close()

    row.get_by_test_id("suspend-user").click()
    submit(page)
    expect(row).to_contain_text("Suspended")
    row.get_by_test_id("approve-user").click()
    expect(row).to_contain_text("Active")
    shoot(page, stack, "admin-users")

    row.get_by_test_id("delete-user").click()
    expect(page.get_by_test_id("dialog-submit")).to_be_disabled()
    page.get_by_test_id("confirm-text").fill(tag)
    submit(page)
    expect(page.get_by_test_id("empty")).to_be_visible()
    assert admin.http.get("/api/users", params={"query": tag}).json()["total"] == 0


def test_corporation_gets_plan_until_the_last_day(page: Page, admin: Client, tag: str) -> None:
    log_in(page)
    page.goto("/admin/corporations")
    page.get_by_test_id("new-corporation").click()
    page.get_by_test_id("corporation-name").fill(tag)
    submit(page)
    row = row_of(page, tag)
    expect(row).to_contain_text("Free")
    row.get_by_test_id("plan-corporation").click()
    dialog = page.get_by_test_id("form-dialog")
    dialog.get_by_label("Plan", exact=True).select_option("paid")
    dialog.get_by_label("Last day").fill("2190-06-30")
    submit(page)
    expect(row).to_contain_text("Paid")
    expect(row).to_contain_text("Jun 30, 2190")
    row.get_by_test_id("rename-corporation").click()
    page.get_by_test_id("corporation-name").fill(f"{tag} & sons")
    submit(page)
    row_of(page, f"{tag} & sons").get_by_test_id("delete-corporation").click()
    submit(page)
    expect(row_of(page, tag)).to_have_count(0)
    assert admin.http.get("/api/corporations", params={"query": tag}).json()["total"] == 0


def test_logs_are_filtered_paged_by_cursor_and_exported(
    page: Page, stack: Stack, admin: Client, films: dict[str, str]
) -> None:
    video_id = films["Amber"]
    for number in range(30):
        assert admin.http.patch(f"/api/videos/{video_id}", json={"title": f"Amber {number}"}).is_success
    audit = {"target_id": video_id, "action": "video.changed"}
    wait_for(
        lambda: admin.http.get("/api/admin/audit", params=audit).json()["total"] == 31, 60, "the changes in the log"
    )
    log_in(page)
    page.goto(f"/admin/audit?target_id={video_id}")
    page.get_by_test_id("filters").get_by_label("Action").fill("video.changed")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("action=video.changed"))
    expect(page.get_by_test_id("data-row")).to_have_count(25)
    page.get_by_test_id("next-page").click()
    page.wait_for_url(re.compile("page=2&cursor="))
    expect(page.get_by_test_id("data-row")).to_have_count(6)
    shoot(page, stack, "admin-audit")
    page.reload()
    expect(page.get_by_test_id("data-row")).to_have_count(6)
    page.get_by_test_id("previous-page").click()
    expect(page.get_by_test_id("data-row")).to_have_count(25)

    viewer = new_member(stack, f"v{uuid.uuid4().hex[:10]}")
    session = viewer.http.post("/api/play-sessions", json={"video_id": video_id}).json()["session_id"]
    assert viewer.http.delete(f"/api/play-sessions/{session}").is_success
    views = {"video_id": video_id}
    wait_for(lambda: admin.http.get("/api/admin/views", params=views).json()["total"] == 1, 60, "the view in the log")
    page.goto(f"/admin/views?video_id={video_id}")
    expect(row_of(page, viewer.user["login_id"])).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_test_id("views-csv").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == 2
    assert session in lines[1]
    viewer.close()


def test_dead_letters_are_shown_and_replayed(page: Page, stack: Stack) -> None:
    letter = {
        "id": "stream.videos:0190a6f5-0000-7000-8000-000000000001",
        "subscription": "stream.videos",
        "event_id": "0190a6f5-0000-7000-8000-000000000001",
        "type": "video.updated",
        "subject": "0190a6f5-0000-7000-8000-000000000002",
        "attempts": 5,
        "reason": "OperationalError: the database is away",
        "occurred_at": "2026-11-30T10:00:00Z",
        "died_at": "2026-11-30T10:05:00Z",
        "request_id": "r-1",
    }
    replayed: list[str] = []

    def handle(route: Route) -> None:
        request = route.request
        if request.method == "POST":
            replayed.append(request.url)
            route.fulfill(json={"replayed": 1})
        elif re.search(r"/dead-letters(\?|$)", request.url):
            route.fulfill(json={"items": [] if replayed else [letter]})
        else:
            route.fulfill(json=letter | {"source": "catalog", "traceparent": "", "body": '{"title":"제목"}'})

    # What a broker gives up on takes minutes to make; how the API replays it is tested where it is served.
    page.route(re.compile("/api/admin/dead-letters"), handle)
    log_in(page)
    page.goto("/admin/dead-letters")
    page.get_by_role("link", name="video.updated").press("Enter")
    dialog = page.get_by_test_id("letter-dialog")
    expect(dialog).to_contain_text('"title": "제목"')
    page.reload()
    expect(dialog).to_contain_text('"title": "제목"')
    page.keyboard.press("Escape")
    page.wait_for_url("**/admin/dead-letters")
    page.get_by_test_id("replay-letter").click()
    expect(page.get_by_test_id("notice")).to_contain_text("1 handed back")
    expect(page.get_by_test_id("empty")).to_be_visible()
    assert len(replayed) == 1
    assert "stream.videos" in replayed[0]
    shoot(page, stack, "admin-dead-letters")


def test_pages_have_headings_fit_phones_and_ask_for_nothing_while_idle(page: Page, stack: Stack) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/" in request.url else None)
    # A busy machine may be too slow for the deadlines of the health, which the browser writes to the console.
    well = {"status": "healthy", "services": {"catalog": "healthy"}, "dependencies": {"database": "connected"}}
    page.route("**/api/health", lambda route: route.fulfill(json=well))
    log_in(page)
    page.clock.install()
    page.set_viewport_size(PHONE)
    for address, (english, korean) in HEADINGS.items():
        page.goto(f"/admin{address}")
        expect(page.get_by_role("heading", level=1)).to_have_text(english)
        expect(page).to_have_title(f"{english} · Marquee")
        page.wait_for_load_state("networkidle")
        assert page.evaluate(FITS), address
        if address:
            asked.clear()
            page.clock.run_for(120_000)
            assert asked == [], address
        page.get_by_test_id("lang-ko").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(korean)
        page.wait_for_load_state("networkidle")
        assert page.evaluate(FITS), address
        shoot(page, stack, f"admin{address.replace('/', '-')}-korean-phone")
        page.get_by_test_id("lang-en").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(english)


def test_members_see_that_pages_are_for_administrators(page: Page, stack: Stack, tag: str) -> None:
    member = new_member(stack, tag)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/admin/" in request.url else None)
    log_in(page, tag, PASSWORD)
    for address in HEADINGS:
        page.goto(f"/admin{address}")
        expect(page.get_by_test_id("error-message")).to_have_text("Only administrators can see this page.")
        expect(page.get_by_test_id("admin-nav")).to_have_count(0)
    page.goto("/admin/nowhere")
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Not on tonight"))
    assert asked == []
    member.close()
