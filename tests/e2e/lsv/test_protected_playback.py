"""A protected film plays like any other; what is damaged heals, or stops playback where it is, and says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import plays_on, position
from tests.e2e.lsv.packs import OFFLINE
from tests.e2e.lsv.server import ProtectedServer

Watch = Callable[..., Page]
PLAYER = "document.querySelector('[data-testid=player]')"


def seek(page: Page, second: float) -> None:
    page.get_by_test_id("player").evaluate("(video, at) => { video.currentTime = at }", second)


def state(page: Page, wanted: str) -> None:
    """Wait for a state of the player."""
    expect(page.get_by_test_id("lsv-state")).to_have_attribute("data-state", wanted)


def test_plays_seeks_and_ends(watch: Watch, server: ProtectedServer) -> None:
    page = watch()
    plays_on(page, 0)
    state(page, "playing")
    page.keyboard.press("i")
    page.keyboard.press("5")
    plays_on(page, server.pack.duration_sec / 2)
    page.keyboard.press("k")
    state(page, "paused")
    assert page.evaluate("document.pictureInPictureElement") is None, "it would show no watermark"
    page.keyboard.press("k")
    seek(page, server.pack.duration_sec - 1)
    page.wait_for_function(f"() => {PLAYER}.ended")
    assert abs(position(page) - server.pack.duration_sec) < 0.5
    assert server.records[0] == (None, "")


def test_quick_seeks_settle_at_the_last(watch: Watch, server: ProtectedServer) -> None:
    page = watch()
    plays_on(page, 0)
    page.get_by_test_id("player").evaluate(
        """async (video, duration) => {
            for (let index = 0; index < 60; index += 1) {
                video.currentTime = ((index * 37) % 100) / 100 * duration;
                await new Promise((resolve) => setTimeout(resolve, 40));
            }
            video.currentTime = duration / 3;
        }""",
        server.pack.duration_sec,
    )
    plays_on(page, server.pack.duration_sec / 3)
    assert position(page) < server.pack.duration_sec / 2
    state(page, "playing")


def test_one_flipped_bit_heals(watch: Watch, server: ProtectedServer) -> None:
    damaged = server.pack.record_at(30)
    server.faults.flips[damaged] = 1
    page = watch()
    plays_on(page, 0)
    seek(page, 30.5)
    plays_on(page, 30.5)
    state(page, "playing")
    asked = [how for record, how in server.records if record == damaged]
    assert len(asked) == 2
    assert "no-cache" in asked[1], "the second answer must come from no cache"


def test_lasting_damage_stops_playback_only_where_it_is(watch: Watch, server: ProtectedServer) -> None:
    damaged = server.pack.record_at(8)
    starts = server.pack.header.starts[damaged] / server.pack.header.description.timescale
    server.faults.flips[damaged] = 1_000_000
    page = watch()
    plays_on(page, 1)
    cover = page.get_by_test_id("lsv-cover")
    expect(cover).to_have_attribute("data-notice", "damaged-for-good")
    state(page, "error-fatal")
    assert position(page) == pytest.approx(starts, abs=0.5)
    assert len([record for record, _ in server.records if record == damaged]) == 3
    expect(cover).to_contain_text("A part of the file is damaged")
    page.get_by_test_id("lsv-skip").click()
    plays_on(page, server.pack.header.starts[damaged + 1] / server.pack.header.description.timescale)
    state(page, "playing")
    expect(cover).to_have_count(0)


def test_ticket_that_is_over_is_renewed_while_the_film_plays(watch: Watch, server: ProtectedServer) -> None:
    page = watch()
    plays_on(page, 0)
    page.get_by_test_id("player").evaluate(
        "video => { window.interruptions = 0; "
        "for (const type of ['waiting', 'emptied', 'pause']) video.addEventListener(type, () => interruptions++) }"
    )
    server.end_tickets()
    page.wait_for_function(f"() => {PLAYER}.currentTime > 8")
    assert server.refused >= 1
    assert page.evaluate("interruptions") == 0
    seek(page, 50)
    plays_on(page, 50)


@pytest.mark.parametrize("fault", ["answer", "key"])
def test_key_of_another_scope_is_refused(fault: str, watch: Watch, server: ProtectedServer) -> None:
    if fault == "answer":
        server.faults.scope = "OFFLINE_PLAYBACK"
    else:
        server.faults.wrapped_scope = OFFLINE
    page = watch()
    cover = page.get_by_test_id("lsv-cover")
    expect(cover).to_have_attribute("data-notice", "scope")
    expect(cover).to_contain_text("Permission check failed (key misuse)")
    assert server.records == []


def test_network_that_is_away_is_tried_again(watch: Watch, server: ProtectedServer) -> None:
    page = watch()
    plays_on(page, 0)
    server.faults.cut = True
    seek(page, 50)
    state(page, "recovering")
    expect(page.get_by_test_id("lsv-state")).to_contain_text("The network is unstable, trying again")
    state(page, "error-retryable")
    server.faults.cut = False
    plays_on(page, 50)
    state(page, "playing")


def test_hidden_watermark_stops_playback(watch: Watch) -> None:
    page = watch()
    plays_on(page, 0)
    mark = page.get_by_test_id("watermark")
    page.wait_for_function(
        "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(byte => byte > 0)",
        arg=mark.element_handle(),
    )
    mark.evaluate("canvas => { canvas.style.opacity = '0' }")
    expect(page.get_by_test_id("lsv-cover")).to_have_attribute("data-notice", "watermark")
    assert page.get_by_test_id("player").evaluate("video => video.paused")
    page.get_by_test_id("lsv-reload").click()
    plays_on(page, 0)
    expect(mark).to_have_css("opacity", "1")
    mark.evaluate("canvas => canvas.remove()")
    expect(page.get_by_test_id("lsv-cover")).to_have_attribute("data-notice", "watermark")


def test_position_is_saved_and_the_session_given_back(watch: Watch, server: ProtectedServer) -> None:
    page = watch()
    plays_on(page, 0)
    page.keyboard.press("5")
    plays_on(page, 30)
    page.keyboard.press("k")
    state(page, "paused")
    page.close(run_before_unload=False)
    assert any(at >= 30 for at in server.positions)


def test_goes_on_where_the_viewer_stopped_with_subtitles(watch: Watch, server: ProtectedServer) -> None:
    server.saved = 40.0
    page = watch()
    page.get_by_test_id("resume-continue").click()
    plays_on(page, 40)
    shown = f"[...{PLAYER}.textTracks].some((track) => track.kind === 'subtitles' && track.mode === 'showing')"
    page.wait_for_function(f"() => {shown}")
    page.keyboard.press("c")
    page.wait_for_function(f"() => !{shown}")


def test_session_that_had_to_wait_asks_for_its_key(watch: Watch, server: ProtectedServer) -> None:
    server.faults.queued = True
    page = watch()
    plays_on(page, 0)
    assert server.keys_asked == 1
    expect(page.get_by_test_id("watermark")).to_have_attribute("data-shown", "true")


def test_film_that_was_encrypted_anew_is_opened_with_a_fresh_key(watch: Watch, server: ProtectedServer) -> None:
    server.faults.outdated_key = True
    plays_on(watch(), 0)
    assert server.keys_asked == 1


def test_browser_without_room_gets_less_at_a_time(watch: Watch, server: ProtectedServer) -> None:
    page = watch(
        """const append = SourceBuffer.prototype.appendBuffer;
        window.refusals = 0;
        SourceBuffer.prototype.appendBuffer = function (data) {
            const held = this.buffered.length && this.buffered.end(this.buffered.length - 1) - this.buffered.start(0);
            if (held > 12) {
                window.refusals += 1;
                throw new DOMException('no room', 'QuotaExceededError');
            }
            append.call(this, data);
        };"""
    )
    plays_on(page, 0)
    page.get_by_test_id("player").evaluate("video => { video.playbackRate = 4 }")
    plays_on(page, 40)
    assert page.evaluate("refusals") > 0
    state(page, "playing")


def test_managed_media_source_is_taken_where_there_is_no_other(watch: Watch) -> None:
    page = watch("window.ManagedMediaSource = window.MediaSource; delete window.MediaSource;")
    plays_on(page, 0)


def test_browser_without_media_source_is_named(watch: Watch, server: ProtectedServer) -> None:
    page = watch("delete window.MediaSource; delete window.ManagedMediaSource;")
    expect(page.get_by_test_id("error-message")).to_contain_text("play films in pieces (MediaSource)")
    assert server.records == []
    assert server.keys_asked == 0


def test_other_films_load_none_of_this_code(watch: Watch, server: ProtectedServer) -> None:
    server.faults.unprotected = True
    page = watch()
    page.wait_for_function("() => performance.getEntriesByType('resource').some(({ name }) => /[/]lsv[?]/.test(name))")
    loaded = page.evaluate("performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname)")
    assert [path for path in loaded if path.startswith("/assets/") and ("lsv" in path or "loader" in path)] == []
