"""Whole numbers on the page, read by the shipped model."""

import re

import pytest
from playwright.sync_api import Page, expect

from testing.handwriting import DIGITS, write_row
from testing.pad import SIDE, draw, has_ink, heat, place
from testing.page import OpenPage, expect_answer, expect_number, payload
from testing.pictures import draw_picture, encode
from testing.waiting import eventually

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("text", ["42", "11", "100"])
def test_number_is_read_while_it_is_drawn(open_page: OpenPage, text: str) -> None:
    page = open_page()
    draw(page, write_row(text, 80, 10, 80), release=False)
    expect_number(page, text)
    page.mouse.up()
    expect_number(page, text)
    expect(page.locator("[data-slot=words]")).to_contain_text(text)


def test_desktop_has_room_for_six_digits(open_page: OpenPage) -> None:
    page = open_page()
    drawing = write_row("271828", 80, 5, 100)
    draw(page, drawing)
    expect_number(page, "271828")
    assert has_ink(page, *drawing[-1][10])


def test_drawing_from_a_wide_sheet_fits_on_a_narrow_one(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, write_row("314", 160, 5, 60))
    expect_number(page, "314")
    page.set_viewport_size({"width": 390, "height": 800})
    # What is drawn next is under the pen, and part of the same number.
    draw(page, write_row("1", 90, 190, 150))
    expect(page.locator("[data-slot=numeral]")).not_to_have_text("314")
    left, right = page.locator("#pad").evaluate(
        """(pad) => {
            const { data } = pad.getContext("2d").getImageData(0, 0, pad.width, pad.height);
            const inked = Array.from({ length: pad.width }, (_, x) =>
                Array.from({ length: pad.height }, (_, y) => data[4 * (y * pad.width + x) + 3]).some(Boolean));
            return [inked.indexOf(true) / pad.width, inked.lastIndexOf(true) / pad.width];
        }"""
    )
    assert 0 < left < 0.15
    assert 0.8 < right < 1
    assert has_ink(page, *write_row("1", 90, 190, 150)[0][5])


def test_ink_stays_in_place_while_some_is_erased(open_page: OpenPage) -> None:
    page = open_page()
    one, three = write_row("1", 160, 5, 60), write_row("3", 160, 320, 60)
    draw(page, [*one, *three])
    expect_number(page, "13")
    page.set_viewport_size({"width": 390, "height": 800})
    right = max(x for x, _ in three[0])
    scale = SIDE / right  # of the drawing, which would be wider than the sheet
    page.get_by_role("button", name="Eraser").click()
    x, y = three[0][10]
    page.mouse.click(*place(page, scale * x, scale * y))
    expect_answer(page, 1)
    assert has_ink(page, *(scale * value for value in one[0][5]))


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_number_stands_on_one_line(open_page: OpenPage, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 800}, locale="de")
    draw(page, write_row("314", 88, 8, 80))
    expect_number(page, "314")
    numeral = page.locator("[data-slot=numeral]")
    lines = "(p) => p.getBoundingClientRect().height / parseFloat(getComputedStyle(p).lineHeight)"
    assert round(numeral.evaluate(lines)) == 1


@pytest.mark.parametrize("locale", ["en", "de"])
def test_sheet_stays_in_place_while_a_number_is_drawn(open_page: OpenPage, locale: str) -> None:
    page = open_page(viewport={"width": 320, "height": 640}, locale=locale)
    pad = page.locator("#pad")
    before = pad.bounding_box()
    drawing = write_row("27182", 54, 5, 90)
    for count in range(1, len(drawing) + 1):
        draw(page, drawing[count - 1 : count])
        expect(page.locator("#answer")).to_have_attribute("data-state", re.compile("sure|not_digit"))
        assert pad.bounding_box() == before


def test_touching_digits_are_read(open_page: OpenPage) -> None:
    page = open_page()
    six, two = write_row("6", 130, 20, 80), write_row("2", 130, 100, 80)
    draw(page, [*six, *two])
    expect_number(page, "62")


def test_two_lines_are_read(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, [*write_row("31", 80, 10, 15), *write_row("42", 80, 10, 160)])
    expect_number(page, "31\n42")
    expect(page.locator("[data-slot=words]")).to_contain_text("31, 42")


def test_undo_takes_a_digit_back(open_page: OpenPage) -> None:
    page = open_page()
    drawing = write_row("17", 80, 10, 80)
    draw(page, drawing)
    expect_number(page, "17")
    for _ in range(len(DIGITS[7])):
        page.get_by_role("button", name="Undo").click()
    expect_number(page, "1")
    expect(page.get_by_role("group", name="Digit")).to_be_hidden()


def test_each_digit_can_be_looked_at(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, write_row("42", 80, 10, 80))
    expect_number(page, "42")
    first = page.locator("[data-slot=top] .digit").first
    expect(first).to_have_text("4")
    frame = page.locator("[data-slot=frame]").get_attribute("src")
    picker = page.get_by_role("group", name="Digit", exact=True)
    picker.get_by_role("radio", name="4").press("ArrowRight")
    expect(first).to_have_text("2")
    expect(picker.get_by_role("radio", name="2")).to_be_checked()
    assert page.locator("[data-slot=frame]").get_attribute("src") != frame
    picker.get_by_role("radio", name="4").check()
    expect(first).to_have_text("4")


def test_later_answer_with_the_same_digits_keeps_the_chosen_one(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, write_row("42", 80, 10, 80))
    expect_number(page, "42")
    chosen = page.get_by_role("group", name="Digit", exact=True).get_by_role("radio", name="2")
    chosen.press("ArrowRight")
    chosen.check()
    with page.expect_response("**/api/v1/read*"):
        draw(page, [[[85, 85], [85.5, 85.5]]])  # a point too small to be drawn
    expect_number(page, "42")
    expect(chosen).to_be_checked()
    expect(chosen).to_be_focused()


def test_chosen_digit_of_a_number_is_explained(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, write_row("42", 100, 10, 160))
    expect_number(page, "42")
    heatmap = page.locator("#heatmap")
    with page.expect_request(re.compile(r"explain\?digit=4&place=0$")):
        page.get_by_role("button", name="Explain").click()
    expect(heatmap).to_be_visible()
    left, right = _split_heat(page)
    assert left > right == 0
    with page.expect_response(re.compile(r"explain\?digit=2&place=1$")):
        page.get_by_role("group", name="Digit", exact=True).get_by_role("radio", name="2").check()
    eventually(lambda: _split_heat(page)[0] == 0 < _split_heat(page)[1])
    page.get_by_role("button", name="Explain").click()
    expect(heatmap).to_be_hidden()


def _split_heat(page: Page) -> tuple[int, int]:
    """The sum of a heat map's opacity left and right of x = 110, where the 2 begins."""
    rows = heat(page)
    return sum(sum(row[:11]) for row in rows), sum(sum(row[11:]) for row in rows)


def test_row_in_a_picture_is_read_and_outlined(open_page: OpenPage) -> None:
    page = open_page()
    picture = draw_picture(write_row("2718", 120, 20, 80), (520, 280), pen=9)
    page.get_by_label("Upload pictures").set_input_files(payload(encode(picture)))
    expect_number(page, "2718")
    outlines = page.locator("#outline path").get_attribute("d") or ""
    assert outlines.count("M") == 4


def test_number_is_in_the_history(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, write_row("42", 80, 10, 80))
    expect_number(page, "42")
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Open again: This is 42").click()
    expect_number(page, "42")
