"""The last drawings and pictures with their answers: kept in the browser only."""

import pytest
from playwright.sync_api import Dialog, Page, expect

from testing.handwriting import DIGITS, EUROPEAN_7
from testing.pad import draw, has_ink, wait_until
from testing.page import OpenPage, expect_answer, expect_nothing_drawn, expect_picture, payload
from testing.pictures import draw_picture, encode, picture_of

pytestmark = pytest.mark.browser


def expect_history(page: Page, *numerals: str) -> None:
    expect(page.locator("#history .card span")).to_have_text(list(numerals))


def draw_after_clearing(page: Page, digit: int) -> None:
    page.get_by_role("button", name="Clear").click()
    draw(page, DIGITS[digit])
    expect_answer(page, digit)
    expect(page.locator("#history .card span").first).to_have_text(str(digit))


def test_drawings_are_kept_newest_first_and_opened_again(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, EUROPEAN_7)
    expect_answer(page, 7)
    expect_history(page, "7")
    draw_after_clearing(page, 3)
    page.reload()
    expect_history(page, "3", "7")
    page.get_by_role("button", name="Open again: This is a 7").click()
    expect_answer(page, 7)
    assert has_ink(page, *EUROPEAN_7[1][2])
    page.keyboard.press("Control+z")  # as it was before
    expect_answer(page, 3)


@pytest.mark.parametrize(("width", "height"), [(320, 568), (740, 360), (1280, 500)])
def test_page_scrolls_to_the_sheet_when_an_entry_is_opened(open_page: OpenPage, width: int, height: int) -> None:
    page = open_page(viewport={"width": width, "height": height})
    draw(page, DIGITS[5])
    expect_history(page, "5")
    page.get_by_role("button", name="Clear").click()
    page.locator("#history .card").scroll_into_view_if_needed()
    page.locator("#history .card").click()
    expect_answer(page, 5)
    for selector in ("[data-slot=words]", "#pad"):
        expect(page.locator(selector)).to_be_in_viewport(ratio=0.95)


def test_entry_is_opened_without_a_request(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, DIGITS[5])
    expect_history(page, "5")
    page.get_by_role("button", name="Clear").click()
    page.context.set_offline(True)
    page.get_by_role("button", name="Open again: This is a 5").click()
    expect_answer(page, 5)


def test_picture_is_kept_small_and_opened_again(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_label("Upload pictures").set_input_files(payload(picture_of(DIGITS[4])))
    expect_answer(page, 4)
    expect_history(page, "4")
    page.get_by_role("button", name="Clear").click()
    expect_nothing_drawn(page)
    page.get_by_role("button", name="Open again: This is a 4").click()
    expect_answer(page, 4)
    expect_picture(page)
    expect(page.locator("#outline path")).to_be_visible()


def test_picture_stays_in_the_history_when_one_draws_over_it(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_label("Upload pictures").set_input_files(payload(picture_of(DIGITS[4])))
    expect_answer(page, 4)
    expect_history(page, "4")
    draw(page, DIGITS[3])
    expect_answer(page, 3)
    expect_history(page, "3", "4")


def test_large_picture_is_outlined_as_before_when_opened_again(open_page: OpenPage) -> None:
    page = open_page()
    large = draw_picture(DIGITS[4]).resize((1400, 1400))
    page.get_by_label("Upload pictures").set_input_files(payload(encode(large)))
    expect_answer(page, 4)
    expect_history(page, "4")
    outline = page.locator("#outline")
    before = outline.evaluate("svg => svg.outerHTML")
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Open again: This is a 4").click()
    expect(outline.locator("path")).to_be_visible()
    wait_until(page, "document.getElementById('picture').decode().then(() => true, () => false)")
    assert outline.evaluate("svg => svg.outerHTML") == before


def test_twenty_are_kept(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, DIGITS[5])
    expect_history(page, "5")
    page.evaluate(
        """() => {
            const [entry] = JSON.parse(localStorage.getItem("digits.history"));
            const older = Array.from({ length: 20 }, (_, id) => ({ ...entry, id, strokes: [[[id, 0], [100, 100]]] }));
            localStorage.setItem("digits.history", JSON.stringify(older));
        }"""
    )
    page.reload()
    expect(page.locator("#history .card")).to_have_count(20)
    draw_after_clearing(page, 3)
    expect(page.locator("#history .card")).to_have_count(20)


def test_history_can_be_deleted(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, DIGITS[5])
    expect_history(page, "5")
    questions: list[str] = []

    def answer(dialog: Dialog) -> None:
        questions.append(dialog.message)
        (dialog.dismiss if len(questions) == 1 else dialog.accept)()

    page.on("dialog", answer)
    page.get_by_role("button", name="Delete history").click()
    expect_history(page, "5")
    page.get_by_role("button", name="Delete history").click()
    expect_history(page)
    assert questions == ["Delete history?"] * 2
    assert page.evaluate("localStorage.getItem('digits.history')") == "[]"


def test_page_works_without_storage(open_page: OpenPage) -> None:
    page = open_page()
    page.add_init_script("Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError'); };")
    page.reload()
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    expect_history(page, "5")
