"""Corrected answers: kept in the browser alone, to look through, delete and save to a file for the trainer."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, Route, expect

from testing.handwriting import DIGITS, write_row
from testing.pad import draw, has_ink
from testing.page import OpenPage, expect_answer, expect_number, payload
from testing.pictures import picture_of

pytestmark = pytest.mark.browser


def expect_last_answer(page: Page) -> None:
    """The page awaits no newer answer, before which a correction would not count."""
    expect(page.locator("#explain")).to_have_attribute("aria-disabled", "false")


def correct(page: Page, label: str) -> None:
    expect_last_answer(page)
    page.get_by_label("Wrong? It was").select_option(label)
    expect(page.get_by_role("status")).to_contain_text("Correction saved")


def enter_number(page: Page, number: str) -> None:
    expect_last_answer(page)
    field = page.get_by_label("or the number")
    field.fill(number)
    field.press("Enter")


def expect_corrections(page: Page, *captions: str) -> None:
    expect(page.locator("#corrections .card")).to_have_text(list(captions))


def downloaded(page: Page) -> list[dict]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Download corrections").click()
    assert download.value.suggested_filename == "corrections.jsonl"
    return [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]


def test_corrections_are_listed_opened_and_saved_without_the_server(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.get_by_label("Wrong? It was")).to_be_hidden()
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    page.wait_for_load_state("networkidle")
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.method == "POST" else None)
    correct(page, "6")
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Upload pictures").set_input_files(payload(picture_of(DIGITS[4])))
    expect_answer(page, 4)
    correct(page, "no digit")
    expect_corrections(page, "4 → no digit", "5 → 6")
    assert len(sent) == 1  # the picture, to be read
    page.reload()
    picture, drawing = downloaded(page)
    assert (picture["label"], drawing["label"]) == (None, 6)
    assert picture["picture"].startswith("data:image/webp;base64,")
    assert len(drawing["strokes"][0]) == len(DIGITS[5][0])
    assert drawing["answer"]["digit"] == 5
    assert drawing["answer"]["confidence"] > 0.9
    assert len(drawing["model"]) == 12
    page.locator("#corrections .card").nth(1).click()
    expect_answer(page, 5)


def test_latest_correction_of_a_drawing_counts_and_each_can_be_deleted(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    correct(page, "6")
    correct(page, "8")
    expect_corrections(page, "5 → 8")
    page.get_by_role("button", name="Clear").click()
    draw(page, DIGITS[3])
    expect_answer(page, 3)
    expect(page.get_by_label("Wrong? It was")).to_have_value("…")
    correct(page, "9")
    page.get_by_role("button", name="Delete correction 5 → 8").click()
    expect_corrections(page, "3 → 9")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete corrections").click()
    expect(page.locator("#corrections")).to_be_hidden()
    assert page.evaluate("localStorage.getItem('digits.corrections')") == "[]"


def test_correction_is_of_the_answer_that_it_was_entered_for(open_page: OpenPage) -> None:
    page = open_page()
    held: list[Route] = []
    page.route("**/kept.js", lambda route: held.append(route))
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    expect_last_answer(page)
    page.get_by_label("Wrong? It was").select_option("6")
    draw(page, DIGITS[7])  # over it, before the script is there that keeps corrections
    expect(page.get_by_label("Wrong? It was")).to_have_value("…")
    held[0].continue_()
    expect_corrections(page, "5 → 6")


def test_undo_in_the_field_leaves_the_drawing_alone(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    page.get_by_label("or the number").press_sequentially("52")
    page.keyboard.press("Control+z")
    expect(page.locator("#undo")).to_have_attribute("aria-disabled", "false")
    assert has_ink(page, *DIGITS[5][0][2])


def test_number_is_corrected_in_a_field(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, write_row("42", 80, 10, 80))
    expect_number(page, "42")
    suggested = page.locator("#alternatives option").evaluate_all("options => options.map(({ value }) => value)")
    assert len(suggested) == 3
    assert "42" not in suggested
    enter_number(page, "4x")
    expect(page.locator("#corrections")).to_be_hidden()
    enter_number(page, " 412 ")
    expect(page.get_by_role("status")).to_contain_text("Correction saved")
    expect_corrections(page, "42 → 412")
    page.reload()
    (line,) = downloaded(page)
    assert line["text"] == "412"
    assert "label" not in line
    assert line["answer"].keys() == {"text", "confidence"}
    assert line["answer"]["text"] == "42"


def test_number_that_is_none_and_digit_that_is_a_number_are_corrected(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, write_row("11", 80, 10, 80))
    expect_number(page, "11")
    correct(page, "no digit")
    page.get_by_role("button", name="Clear").click()
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    enter_number(page, "52")
    expect_corrections(page, "5 → 52", "11 → no digit")


def test_what_is_no_correction_in_the_storage_is_ignored(open_page: OpenPage) -> None:
    page = open_page()
    kept = [None, {"label": 3}, {"label": "x"}, {"strokes": 7}]
    page.evaluate("kept => localStorage.setItem('digits.corrections', kept)", json.dumps(kept))
    page.reload()
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    expect(page.locator("#corrections")).to_be_hidden()
