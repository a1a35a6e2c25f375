"""Films run from a browser: protection, licences of devices, titles and highlights."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Page, expect

from tests.conftest import IN_ONE_PROCESS
from tests.e2e.browser import has_metadata, log_in, shoot
from tests.e2e.client import Client, make_film, new_member
from tests.stacks.base import Stack, wait_for

pytestmark = IN_ONE_PROCESS

PASSWORD = "longer than eight"


@pytest.fixture
def tag() -> str:
    """A word of this test, which no other test uses."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
def member(stack: Stack, tag: str) -> Iterator[Client]:
    client = new_member(stack, tag)
    yield client
    client.close()


def upload(admin: Client, path: Path, title: str, tag: str) -> str:
    """Upload a film whose bytes no other test has; return its id when it can be watched."""
    make_film(path, seconds=4)
    with path.open("ab") as file:
        content = tag.encode() + title.encode()
        file.write((8 + len(content)).to_bytes(4, "big") + b"free" + content)
    return str(admin.await_status(admin.upload(path, title), "ready")["id"])


def issue_licence(client: Client, video_id: str, device_id: str, device_name: str) -> str:
    """Have a licence issued to a device with a key of its own; return its id."""
    public_key = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    body = {
        "video_id": video_id,
        "device_id": device_id,
        "device_name": device_name,
        "public_key": base64.urlsafe_b64encode(point).decode().rstrip("="),
    }
    answer = client.http.post("/api/offline-licenses", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_film_is_protected_and_a_licence_revoked(
    page: Page, stack: Stack, admin: Client, member: Client, tag: str, tmp_path: Path
) -> None:
    title = f"Night mail {tag}"
    film = upload(admin, tmp_path / "film.mp4", title, tag)
    log_in(page)
    page.goto(f"/admin/contents?query={tag}")
    row = page.locator(f"[data-row-id='{film}']")
    expect(row.get_by_test_id("content-protection")).to_have_count(0)
    row.get_by_test_id("protection").press("Enter")
    state = page.get_by_test_id("protection-state")
    expect(state).to_have_attribute("data-state", "none")
    page.get_by_test_id("protect-film").press("Enter")
    expect(state).to_have_attribute("data-state", "gone")
    expect(page.get_by_test_id("unprotect-film")).to_have_count(0)
    first = admin.video(film)["files"]
    page.get_by_test_id("rekey-film").press("Enter")
    wait_for(lambda: admin.video(film)["files"] != first, 120, "a pack with another key")
    expect(page.get_by_test_id("rekey-film")).to_be_enabled()
    shoot(page, stack, "admin-protection")
    page.keyboard.press("Escape")
    expect(row.get_by_test_id("content-protection")).to_have_text("Protected")

    phone, tablet = str(uuid.uuid4()), str(uuid.uuid4())
    issue_licence(member, film, phone, "Old phone")
    kept = issue_licence(member, film, tablet, "Tablet")
    page.goto("/admin/licences")
    expect(page).to_have_title("Licences · Marquee")
    page.get_by_role("link", name="Old phone").first.click()
    page.wait_for_url(f"**/admin/licences?device_id={phone}")
    expect(page.get_by_test_id("data-row")).to_have_count(1)
    expect(page.get_by_test_id("data-row")).to_contain_text(title)
    expect(page.get_by_test_id("licence-state")).to_contain_text("Until")
    page.get_by_test_id("revoke").press("Enter")
    expect(page.get_by_test_id("confirm-dialog")).to_contain_text("Without the network it plays on until")
    page.get_by_test_id("dialog-submit").click()
    expect(page.get_by_test_id("licence-state")).to_have_text("Revoked")
    expect(page.get_by_test_id("revoke")).to_have_count(0)
    assert [each["id"] for each in member.http.get("/api/offline-licenses").json()["items"]] == [kept]

    page.goto(f"/admin/licences?video_id={film}")
    expect(page.get_by_test_id("data-row")).to_have_count(2)
    shoot(page, stack, "admin-licences")
    page.reload()
    expect(page.get_by_test_id("data-row").filter(has_text="Tablet").get_by_test_id("revoke")).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("Licences"))).to_have_attribute("aria-current", "page")


def test_points_are_adjusted_with_a_reason(page: Page, stack: Stack, admin: Client, member: Client, tag: str) -> None:
    log_in(page)
    page.goto("/admin/points")
    page.get_by_test_id("filters").get_by_label("Login or name").fill(tag)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/admin/points?query={tag}")
    expect(page.get_by_test_id("open-points")).to_have_count(1)
    page.get_by_test_id("open-points").press("Enter")
    page.wait_for_url(f"**/admin/points?user_id={member.user['id']}")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Points of {member.user['display_name']}")
    expect(page.get_by_test_id("points-balance")).to_have_text("0 points")

    page.get_by_test_id("adjust").press("Enter")
    page.get_by_test_id("points-reason").fill("Welcome")
    page.get_by_test_id("points-amount").fill("-5")
    expect(page.get_by_test_id("points-result")).to_contain_text("only 0 points")
    expect(page.get_by_test_id("dialog-submit")).to_be_disabled()
    page.get_by_test_id("points-amount").fill("250")
    expect(page.get_by_test_id("points-result")).to_contain_text("250")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("notice")).to_contain_text("is now 250")
    expect(page.get_by_test_id("points-balance")).to_have_text("250 points")
    expect(page.get_by_test_id("data-row")).to_contain_text("Welcome")
    expect(page.get_by_test_id("data-row")).to_contain_text("+250")
    assert member.http.get("/api/users/me/points").json()["items"][0]["reason"] == "Welcome"
    shoot(page, stack, "admin-points")
    page.reload()
    expect(page.get_by_test_id("data-row")).to_contain_text(str(admin.user["login_id"]))


def test_titles_are_made_by_a_template(page: Page, stack: Stack, admin: Client, tag: str, tmp_path: Path) -> None:
    series = admin.http.post("/api/series", json={"title": f"Trains {tag}"}).json()
    films = {name: upload(admin, tmp_path / f"{name}.mp4", f"{name} {tag}", tag) for name in ("Alpha", "Beta")}
    for episode, name in enumerate(films, start=1):
        body = {"series_id": series["id"], "season": 2, "episode": episode}
        assert admin.http.patch(f"/api/videos/{films[name]}", json=body).is_success
    log_in(page)
    page.goto(f"/admin/contents?query={tag}")
    page.get_by_role("checkbox", name=f"Select Alpha {tag}").press("Space")
    page.get_by_test_id("bulk-titles").press("Enter")
    page.wait_for_url(f"**/admin/titles?ids={films['Alpha']}")
    expect(page.get_by_label("For")).to_contain_text("The selected videos (1)")
    page.get_by_label("Template").select_option("episode")
    page.wait_for_url(re.compile("template=episode"))
    row = page.get_by_test_id("data-row")
    expect(row).to_have_count(1)
    expect(row).to_contain_text(f"Trains {tag} S02E01")

    # All of the series, too; one is then as it should be.
    page.get_by_label("For").select_option(series["id"])
    expect(row).to_have_count(2)
    shoot(page, stack, "admin-titles")
    page.get_by_test_id("apply-titles").press("Enter")
    expect(page.get_by_test_id("notice")).to_contain_text("2 titles were set")
    assert admin.video(films["Beta"])["title"] == f"Trains {tag} S02E02"
    expect(page.get_by_text("No title would change.")).to_be_visible()
    page.get_by_label("Template").select_option("best-hand")
    expect(row.first).to_contain_text("players is empty")
    admin.http.delete(f"/api/series/{series['id']}")


def test_highlights_are_edited_on_the_timeline(
    page: Page, stack: Stack, admin: Client, tag: str, tmp_path: Path
) -> None:
    film = upload(admin, tmp_path / "table.mp4", f"Table {tag}", tag)
    log_in(page)
    page.goto(f"/admin/contents?query={tag}")
    page.get_by_test_id("edit-highlights").press("Enter")
    page.wait_for_url(f"**/admin/highlights?video_id={film}")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Highlights of Table {tag}")
    expect(page.get_by_test_id("empty")).to_have_text("This film has no highlights yet.")

    # Times come from the playhead.
    has_metadata(page)
    player = page.get_by_test_id("player")
    player.evaluate("video => { video.pause(); video.currentTime = 1.5 }")
    page.get_by_test_id("take-start").press("Enter")
    expect(page.get_by_test_id("highlight-start")).to_have_value("0:01.5")
    page.get_by_test_id("save-highlight").click()
    expect(page.get_by_test_id("highlight-start")).to_be_visible()
    page.get_by_test_id("highlight-end").fill("0:01")
    page.get_by_test_id("save-highlight").click()
    expect(page.get_by_test_id("highlight-wrong")).to_contain_text("the end after the start")
    player.evaluate("video => { video.currentTime = 3 }")
    page.get_by_test_id("take-end").press("Enter")
    expect(page.get_by_test_id("highlight-end")).to_have_value("0:03")
    page.get_by_test_id("highlight-title").fill("The river")
    page.get_by_test_id("highlight-category").fill("bluff")
    page.get_by_test_id("highlight-players").fill("Ann, Bea")
    page.get_by_test_id("highlight-pot").fill("120,000")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("notice")).to_contain_text("was added")
    (made,) = admin.http.get(f"/api/videos/{film}/highlights").json()["items"]
    assert (made["start"], made["end"], made["title"], made["players"]) == (1.5, 3, "The river", ["Ann", "Bea"])
    expect(page.get_by_test_id("timeline").get_by_role("button")).to_have_count(1)

    page.get_by_test_id("edit-highlight").press("Enter")
    page.get_by_test_id("highlight-title").fill("The turn")
    page.get_by_test_id("save-highlight").click()
    expect(page.get_by_test_id("data-row")).to_contain_text("The turn")
    shoot(page, stack, "admin-highlights")
    page.get_by_test_id("delete-highlight").click()
    page.get_by_test_id("dialog-submit").click()
    expect(page.get_by_test_id("empty")).to_be_visible()


def test_highlights_come_from_a_file(page: Page, admin: Client, tag: str, tmp_path: Path) -> None:
    film = upload(admin, tmp_path / "table.mp4", f"Table {tag}", tag)
    first = {"start": 1.25, "end": 3, "title": "The turn", "players": ["Ann", "Bea"], "pot_size": 500}
    assert admin.http.post(f"/api/videos/{film}/highlights", json=first).status_code == 201
    log_in(page)
    page.goto(f"/admin/highlights?video_id={film}")
    expect(page.get_by_test_id("data-row")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_test_id("highlights-json").click()
    saved = tmp_path / "highlights.json"
    download.value.save_as(saved)
    csv = tmp_path / "highlights.csv"
    with page.expect_download() as download:
        page.get_by_test_id("highlights-csv").click()
    download.value.save_as(csv)
    csv.write_text(csv.read_text(encoding="utf-8") + "2,2.5,call,,Cho,\n", encoding="utf-8")
    for path, count in ((csv, 2), (saved, 1)):
        page.get_by_test_id("replace-highlights").click()
        page.get_by_test_id("highlights-file").set_input_files(path)
        page.get_by_test_id("dialog-submit").click()
        expect(page.get_by_test_id("notice")).to_contain_text(f"now has {count} highlights")
        expect(page.get_by_test_id("data-row")).to_have_count(count)
    (kept,) = admin.http.get(f"/api/videos/{film}/highlights").json()["items"]
    assert {name: kept[name] for name in first} == first

    saved.write_text('{"items": "none"}')
    page.get_by_test_id("replace-highlights").click()
    page.get_by_test_id("highlights-file").set_input_files(saved)
    expect(page.get_by_test_id("error-message")).to_contain_text("no JSON list of highlights")
    expect(page.get_by_test_id("dialog-submit")).to_be_disabled()


def test_series_is_made_and_a_film_gets_subtitles(
    page: Page, stack: Stack, admin: Client, tag: str, tmp_path: Path
) -> None:
    log_in(page)
    page.goto("/admin/series")
    page.get_by_test_id("new-series").press("Enter")
    page.get_by_test_id("series-title").fill(f"Lines {tag}")
    page.keyboard.press("Enter")
    row = page.get_by_test_id("data-row").filter(has_text=f"Lines {tag}")
    row.get_by_test_id("edit-series").press("Enter")
    page.get_by_test_id("series-title").fill(f"Rails {tag}")
    page.keyboard.press("Enter")
    renamed = page.get_by_test_id("data-row").filter(has_text=f"Rails {tag}")
    expect(renamed).to_contain_text("0")
    renamed.get_by_test_id("delete-series").press("Enter")
    page.get_by_test_id("dialog-submit").click()
    expect(renamed).to_have_count(0)

    film = upload(admin, tmp_path / "film.mp4", f"Night mail {tag}", tag)
    page.goto(f"/admin/contents?query={tag}")
    page.get_by_test_id("subtitles").press("Enter")
    wrong, right = tmp_path / "ko.txt", tmp_path / "ko.srt"
    for path in (wrong, right):
        path.write_bytes("1\n00:00:01,000 --> 00:00:02,000\n밤 기차\n".encode("cp949"))
    page.get_by_test_id("subtitles-language").fill("ko")
    page.get_by_test_id("subtitles-file").set_input_files(wrong)
    expect(page.get_by_test_id("add-subtitles")).to_be_disabled()
    page.get_by_test_id("subtitles-file").set_input_files(right)
    page.get_by_test_id("add-subtitles").press("Enter")
    expect(page.get_by_test_id("subtitle-track")).to_contain_text("Korean")
    assert "밤 기차" in admin.http.get(f"/api/videos/{film}/subtitles/ko").text
    shoot(page, stack, "admin-subtitles")
    page.get_by_role("button", name="Remove Korean").press("Enter")
    expect(page.get_by_test_id("subtitle-track")).to_have_count(0)
    assert admin.http.get(f"/api/videos/{film}/subtitles").json()["items"] == []
