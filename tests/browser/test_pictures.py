"""Pictures in a real browser: chosen, dropped, pasted, and without JavaScript."""

import base64
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.hand import draw, has_ink
from tests.browser.test_drawing import expect_answer, expect_nothing_drawn
from tests.handwriting import DIGITS
from tests.pictures import picture_of

pytestmark = pytest.mark.browser


def payload(data: bytes, name: str = "digit.png") -> FilePayload:
    return {"name": name, "mimeType": "image/png", "buffer": data}


def expect_picture(page: Page) -> None:
    """The sheet shows a picture that the browser could open."""
    page.wait_for_function("document.getElementById('picture').naturalWidth > 1")
    expect(page.locator("#picture")).to_be_visible()


@pytest.mark.parametrize("digit", DIGITS)
def test_form_works_without_javascript(open_page: OpenPage, digit: int) -> None:
    page = open_page(java_script_enabled=False)
    page.get_by_label("Read pictures").set_input_files(payload(picture_of(DIGITS[digit])))
    page.get_by_role("button", name="Read picture", exact=True).click()
    expect_answer(page, digit)
    expect(page.get_by_role("img", name="Your picture")).to_be_visible()
    expect(page.get_by_role("img", name="28 by 28")).to_be_visible()
    expect(page.locator("[data-slot=top] .percent")).to_contain_text(["%", "%", "%"])


def test_without_javascript_nothing_is_offered_that_needs_it(open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)
    expect(page.get_by_text("Drawing needs JavaScript")).to_be_visible()
    for hidden in ("#pad", "#undo", "#live", "#predict"):
        expect(page.locator(hidden)).to_be_hidden()


def test_bad_picture_without_javascript_gets_a_sentence(open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False, errors="415")
    page.get_by_label("Read pictures").set_input_files(payload(b"hello"))
    page.get_by_role("button", name="Read picture", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("The file is not a picture")
    page.get_by_label("Read pictures").set_input_files(payload(picture_of(DIGITS[2])))
    page.get_by_role("button", name="Read picture", exact=True).click()
    expect_answer(page, 2)


def test_form_works_where_browsers_do_not_say_what_site_asks(open_page: OpenPage) -> None:
    # On plain http, but for this very machine, there is no Sec-Fetch-Site, and COOP is ignored with a message.
    page = open_page(java_script_enabled=False, host="digits.test", errors="Cross-Origin-Opener-Policy")
    page.get_by_label("Read pictures").set_input_files(payload(picture_of(DIGITS[2])))
    page.get_by_role("button", name="Read picture", exact=True).click()
    expect_answer(page, 2)


def test_too_heavy_picture_without_javascript_gets_its_answer(open_page: OpenPage, tmp_path: Path) -> None:
    (tmp_path / "heavy.png").write_bytes(bytes(20 * 2**20))
    page = open_page(java_script_enabled=False, errors="413")
    page.get_by_label("Read pictures").set_input_files(tmp_path / "heavy.png")
    page.get_by_role("button", name="Read picture", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("larger than this server takes")


def test_chosen_picture_is_read_at_once(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_label("Read pictures").set_input_files(payload(picture_of(DIGITS[3])))
    expect_answer(page, 3)
    expect_picture(page)
    assert page.url.endswith("/")


def test_dropped_picture_is_read(open_page: OpenPage) -> None:
    page = open_page()
    transfer = _transfer(page, picture_of(DIGITS[4]))
    page.dispatch_event("#upload", "dragover", {"dataTransfer": transfer})
    page.dispatch_event("#upload", "drop", {"dataTransfer": transfer})
    expect_answer(page, 4)
    expect_picture(page)


def test_pasted_picture_is_read(open_page: OpenPage) -> None:
    page = open_page()
    transfer = _transfer(page, picture_of(DIGITS[9]))
    page.evaluate(
        "data => document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true }))",
        transfer,
    )
    expect_answer(page, 9)


def _transfer(page: Page, data: bytes):
    return page.evaluate_handle(
        """(text) => {
            const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "digit.png", { type: "image/png" }));
            return transfer;
        }""",
        base64.b64encode(data).decode(),
    )


def test_file_that_is_no_picture_gets_a_sentence(open_page: OpenPage) -> None:
    page = open_page(errors="415")
    page.get_by_label("Read pictures").set_input_files(payload(b"hello"))
    expect(page.locator("[data-slot=note]")).to_contain_text("The file is not a picture")
    page.get_by_label("Read pictures").set_input_files(payload(picture_of(DIGITS[2])))
    expect_answer(page, 2)


def test_too_heavy_picture_is_not_even_sent_and_the_drawing_stays(open_page: OpenPage, tmp_path: Path) -> None:
    (tmp_path / "heavy.png").write_bytes(bytes(13 * 2**20))
    page = open_page()
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    page.wait_for_load_state("networkidle")
    asked = []
    page.on("request", lambda request: asked.append(request) if request.method == "POST" else None)
    page.get_by_label("Read pictures").set_input_files(tmp_path / "heavy.png")
    expect(page.locator("[data-slot=words]")).to_have_text("Too large")
    assert asked == []
    assert has_ink(page, *DIGITS[5][0][20])


def test_undo_does_not_disturb_a_picture(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_label("Read pictures").set_input_files(payload(picture_of(DIGITS[3])))
    page.get_by_role("button", name="Undo").click(force=True)
    expect_answer(page, 3)
    expect_picture(page)


def test_read_without_a_picture_keeps_the_drawing(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    page.get_by_role("button", name="Read picture", exact=True).click()
    expect(page.locator("[data-slot=words]")).to_have_text("No picture chosen")
    page.get_by_role("button", name="Predict").click()
    expect_answer(page, 5)


def test_drawing_takes_the_place_of_a_picture(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_label("Read pictures").set_input_files(payload(picture_of(DIGITS[3])))
    expect_answer(page, 3)
    draw(page, DIGITS[8])
    expect_answer(page, 8)
    expect(page.locator("#picture")).to_be_hidden()


def test_clear_takes_the_picture_away(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_label("Read pictures").set_input_files(payload(picture_of(DIGITS[3])))
    expect_answer(page, 3)
    page.get_by_role("button", name="Clear").click()
    expect_nothing_drawn(page)
    expect(page.locator("#picture")).to_be_hidden()
    # Otherwise choosing the same file again would be no change to the browser.
    assert page.get_by_label("Read pictures").input_value() == ""
