"""Accessibility of the page in each of its states, checked by axe-core in the light and the dark scheme."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from testing.handwriting import DIGITS
from testing.pad import draw
from testing.page import OpenPage, expect_answer, payload
from testing.pictures import picture_of

pytestmark = pytest.mark.browser


def answered(page: Page) -> None:
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    expect(page.locator("#history .card")).to_have_count(1)


def explained(page: Page) -> None:
    answered(page)
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#heatmap")).to_be_visible()


def corrected(page: Page) -> None:
    answered(page)
    page.get_by_label("Wrong? It was").select_option("6")
    expect(page.locator("#corrections .card")).to_have_count(1)


def not_live(page: Page) -> None:
    page.get_by_label("Live").uncheck()
    draw(page, DIGITS[5])
    expect(page.locator("#answer")).to_have_attribute("data-state", "waiting")


def not_a_digit(page: Page) -> None:
    draw(page, [[[x, y] for x in range(20, 260, 40) for y in (20, 260)]])
    expect(page.locator("#answer")).to_have_attribute("data-state", "not_digit")


def batch_read(page: Page) -> None:
    files = [payload(picture_of(DIGITS[4])), payload(b"hello", "bad.png")]
    page.get_by_label("Upload pictures").set_input_files(files)
    expect(page.locator("#batch strong")).to_have_text(["This is a 4", "Unsupported picture"])


def offline(page: Page) -> None:
    page.context.set_offline(True)
    draw(page, DIGITS[5])
    expect(page.locator("#answer")).to_have_attribute("data-state", "error")


STATES: dict[str, Callable[[Page], object]] = {
    "empty": lambda _: None,
    "answered": answered,
    "explained": explained,
    "corrected": corrected,
    "not live": not_live,
    "not a digit": not_a_digit,
    "several pictures": batch_read,
    "offline": offline,
    "an error": lambda page: page.goto(page.url + "nothing"),
}


def assert_accessible(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("state", STATES)
def test_page_is_accessible(open_page: OpenPage, state: str) -> None:
    page = open_page(reduced_motion="reduce", errors="Failed to load resource")
    STATES[state](page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert_accessible(page)


@pytest.mark.parametrize("language", ["en", "de"])
def test_page_is_accessible_on_a_phone(open_page: OpenPage, language: str) -> None:
    page = open_page(viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True, locale=language)
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    assert_accessible(page)


def test_all_ten_probabilities_are_a_table_to_screen_readers(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    table = page.get_by_role("table", name="All ten digits")
    expect(table.get_by_role("columnheader")).to_have_text(["Digit", "Probability"])
    expect(table.get_by_role("rowheader")).to_have_text([str(digit) for digit in range(10)])
    expect(table.get_by_role("row").nth(6).get_by_role("cell")).to_have_text(">99%")


def test_side_of_the_pad_is_remembered(open_page: OpenPage) -> None:
    page = open_page()

    def pad_is_right() -> bool:
        return page.evaluate(
            "pad.getBoundingClientRect().left > document.getElementById('answer').getBoundingClientRect().left"
        )

    assert not pad_is_right()
    page.get_by_label("Pad on the right").check()
    assert pad_is_right()
    page.reload()
    assert pad_is_right()
    page.evaluate("scrollTo(0, 0)")  # to where it was before the reload, the browser scrolls by itself
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    page.get_by_label("Pad on the right").uncheck()
    assert not pad_is_right()


def test_forced_colours_show_ink_and_bars(open_page: OpenPage) -> None:
    page = open_page(forced_colors="active")
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    bar, paper = page.evaluate(
        """() => [
            getComputedStyle(document.querySelector(".bar rect")).fill,
            getComputedStyle(document.querySelector(".answer")).backgroundColor,
        ]"""
    )
    assert bar != paper


def test_nothing_moves_if_reduced_motion_is_preferred(open_page: OpenPage) -> None:
    page = open_page(reduced_motion="reduce")
    moving = """() => [...document.querySelectorAll("*")]
        .filter((node) => parseFloat(getComputedStyle(node).transitionDuration) > 0).length"""
    assert page.evaluate(moving) == 0
