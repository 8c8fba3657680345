"""Replaying a drawing with its predictions."""

import pytest
from playwright.sync_api import Page, Request, expect

from testing.handwriting import DIGITS, EUROPEAN_7
from testing.pad import draw, has_ink, wait_until
from testing.page import OpenPage, expect_answer, payload
from testing.pictures import picture_of

pytestmark = pytest.mark.browser

WATCH = """() => {
    window.shares = new Set();
    const row = document.querySelectorAll("[data-slot=all] tbody tr")[7].querySelector(".percent");
    new MutationObserver(() => shares.add(row.textContent)).observe(row, { childList: true });
}"""


def play(page: Page) -> None:
    page.get_by_role("button", name="Play back").click()


def test_probabilities_change_while_it_plays(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, EUROPEAN_7)
    expect_answer(page, 7)
    page.evaluate(WATCH)
    play(page)
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "true")
    assert not has_ink(page, *EUROPEAN_7[1][-2])
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "false")
    assert page.evaluate("shares.size") > 1
    assert has_ink(page, *EUROPEAN_7[1][-2])
    expect_answer(page, 7)


def test_playing_can_be_stopped_and_loses_nothing(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, EUROPEAN_7)
    expect_answer(page, 7)
    for stop in (lambda: play(page), lambda: page.keyboard.press("Escape"), lambda: draw(page, [[[20, 20], [20, 21]]])):
        play(page)
        expect(page.locator("#play")).to_have_attribute("aria-pressed", "true")
        stop()
        expect(page.locator("#play")).to_have_attribute("aria-pressed", "false")
        assert has_ink(page, *EUROPEAN_7[1][-2])


def test_picture_that_is_chosen_while_it_plays_is_read_once(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, EUROPEAN_7)
    expect_answer(page, 7)
    play(page)
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "true")
    uploads: list[Request] = []
    is_upload = "multipart/form-data"
    page.on("request", lambda r: uploads.append(r) if is_upload in r.headers.get("content-type", "") else None)
    page.get_by_label("Upload pictures").set_input_files(payload(picture_of(DIGITS[4])))
    expect_answer(page, 4)
    page.wait_for_load_state("networkidle")
    assert len(uploads) == 1


def test_second_click_stops_what_the_first_one_starts(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, EUROPEAN_7)
    expect_answer(page, 7)
    page.evaluate(
        """() => {
            window.before = [];
            const note = (changes) => before.push(...changes.map(({ oldValue }) => oldValue));
            const options = { attributeFilter: ["aria-pressed"], attributeOldValue: true };
            new MutationObserver(note).observe(document.getElementById("play"), options);
            document.getElementById("play").click(); // its script is loaded now
            document.getElementById("play").click();
        }"""
    )
    wait_until(page, "before.length > 1 && document.getElementById('play').ariaPressed === 'false'")
    assert page.evaluate("before") == ["false", "true"]


def test_whole_strokes_appear_with_reduced_motion(open_page: OpenPage) -> None:
    page = open_page(reduced_motion="reduce")
    draw(page, EUROPEAN_7)
    expect_answer(page, 7)
    first, whole = page.evaluate(
        """() => {
            const strokes = JSON.parse(sessionStorage.getItem("digits.drawing"));
            return [[strokes[0].length], strokes.map((stroke) => stroke.length)];
        }"""
    )
    asked: list[list[int]] = []

    def note(request: Request) -> None:
        if request.method == "POST":  # not the script that is loaded when it is needed
            asked.append([len(stroke) for stroke in (request.post_data_json or {})["strokes"]])

    page.on("request", note)
    play(page)
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "false")
    assert first in asked
    assert all(lengths in (first, whole) for lengths in asked)
