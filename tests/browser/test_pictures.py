"""Pictures in a real browser: chosen, dropped, pasted, and without JavaScript."""

import base64
import csv
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from testing.handwriting import DIGITS, EUROPEAN_7
from testing.pad import draw, has_ink, wait_until
from testing.page import OpenPage, expect_answer, expect_nothing_drawn, expect_picture, payload
from testing.pictures import draw_picture, encode, picture_of

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("digit", [4, 7])
def test_form_works_without_javascript(open_page: OpenPage, digit: int) -> None:
    page = open_page(java_script_enabled=False)
    page.get_by_label("Upload pictures").set_input_files(payload(picture_of(DIGITS[digit])))
    page.get_by_role("button", name="Read picture", exact=True).click()
    expect_answer(page, digit)
    expect(page.get_by_role("img", name="Your picture")).to_be_visible()
    expect(page.get_by_role("img", name="28 by 28")).to_be_visible()
    expect(page.locator("[data-slot=top] .percent")).to_contain_text(["%", "%", "%"])


def test_controls_that_need_javascript_are_hidden_without_it(open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)
    expect(page.get_by_text("Drawing needs JavaScript")).to_be_visible()
    for hidden in ("#pad", "#undo", "#live", "#predict"):
        expect(page.locator(hidden)).to_be_hidden()
    expect(page.get_by_text("Draw a digit or a number, or choose")).to_be_hidden()
    expect(page.get_by_text("Nothing drawn yet")).to_be_hidden()
    expect(page.get_by_text("Choose a picture of a digit or number.")).to_be_visible()


def test_bad_picture_without_javascript_is_explained(open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False, errors="415")
    page.get_by_label("Upload pictures").set_input_files(payload(b"hello"))
    page.get_by_role("button", name="Read picture", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("The file is not a picture")
    expect(page.get_by_text("What the network saw")).to_be_hidden()
    page.get_by_label("Upload pictures").set_input_files(payload(picture_of(DIGITS[2])))
    page.get_by_role("button", name="Read picture", exact=True).click()
    expect_answer(page, 2)


def test_form_works_where_browsers_do_not_say_what_site_asks(open_page: OpenPage) -> None:
    # On plain http, but for this very machine, there is no Sec-Fetch-Site, and COOP is ignored with a message.
    page = open_page(java_script_enabled=False, host="digits.test", errors="Cross-Origin-Opener-Policy")
    page.get_by_label("Upload pictures").set_input_files(payload(picture_of(DIGITS[2])))
    page.get_by_role("button", name="Read picture", exact=True).click()
    expect_answer(page, 2)


def test_too_large_picture_without_javascript_is_explained(open_page: OpenPage, tmp_path: Path) -> None:
    (tmp_path / "heavy.png").write_bytes(bytes(20 * 2**20))
    page = open_page(java_script_enabled=False, errors="413")
    page.get_by_label("Upload pictures").set_input_files(tmp_path / "heavy.png")
    page.get_by_role("button", name="Read picture", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("larger than this server accepts")


def test_chosen_picture_is_read_at_once(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_label("Upload pictures").set_input_files(payload(picture_of(DIGITS[3])))
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


def test_digit_is_outlined_in_its_picture(open_page: OpenPage) -> None:
    page = open_page()
    small = draw_picture([[[x / 4 + 200, y / 4 + 10] for x, y in stroke] for stroke in DIGITS[3]], pen=5)
    page.get_by_label("Upload pictures").set_input_files(payload(encode(small)))
    expect_answer(page, 3)
    outline, sheet = page.locator("#outline path").bounding_box(), page.locator("#pad").bounding_box()
    assert outline
    assert sheet
    off_centre = outline["x"] + outline["width"] / 2 - (sheet["x"] + sheet["width"] / 2)
    assert off_centre > 0.2 * sheet["height"]
    assert outline["width"] < 0.5 * sheet["width"]


def test_ink_at_the_edge_is_within_the_outline(open_page: OpenPage) -> None:
    page = open_page()
    tall = draw_picture([[[60, 30], [220, 30], [130, 265]]])  # with the width of the pen, from 21 to 274
    page.get_by_label("Upload pictures").set_input_files(payload(encode(tall)))
    expect_answer(page, 7)
    outline = page.locator("#outline path")
    expect(outline).to_be_visible()
    top, height = outline.evaluate("(path) => [path.getBBox().y, path.getBBox().height]")
    assert 0 <= top <= 21
    assert 274 <= top + height <= tall.height


def test_large_photograph_is_shown_at_once_and_kept_small(open_page: OpenPage) -> None:
    page = open_page(errors="Failed to load resource")
    page.route("**/api/v1/read*", lambda route: route.abort())  # it is shown without an answer of the server
    photograph = draw_picture(DIGITS[3]).resize((4000, 3000))
    page.get_by_label("Upload pictures").set_input_files(payload(encode(photograph, "JPEG")))
    expect(page.locator("#picture")).to_be_visible()
    wait_until(page, "document.getElementById('picture').naturalWidth === 560")


def test_several_pictures_give_a_list_that_opens_each(open_page: OpenPage) -> None:
    page = open_page(errors="415")
    files = [payload(picture_of(DIGITS[4]), "four.png"), payload(b"hello", "<b>bad</b>.png")]
    files.append(payload(picture_of(DIGITS[9]), "nine.png"))
    page.get_by_label("Upload pictures").set_input_files(files)
    expect(page.locator("#batch strong")).to_have_text(["This is a 4", "Unsupported picture", "This is a 9"])
    expect(page.locator("#batch span")).to_have_text(["four.png", "<b>bad</b>.png", "nine.png"])
    expect_answer(page, 4)
    page.locator("#batch button").nth(2).click()
    expect_answer(page, 9)
    expect_picture(page)
    page.locator("#batch button").nth(1).click()
    expect(page.locator("[data-slot=words]")).to_have_text("Unsupported picture")
    expect(page.locator("#history .card span")).to_have_text(["9", "4"])
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#batch")).to_be_hidden()


def test_pictures_are_kept_in_their_order_however_long_one_takes_to_copy(open_page: OpenPage) -> None:
    page = open_page()
    # The larger of the two copies is read half a second after the smaller one.
    page.evaluate("""() => {
        const { readAsDataURL } = FileReader.prototype;
        const waiting = [];
        FileReader.prototype.readAsDataURL = function (blob) {
            waiting.push([this, blob]);
            if (waiting.length < 2) return;
            waiting.sort(([, a], [, b]) => a.size - b.size);
            readAsDataURL.apply(waiting[0][0], [waiting[0][1]]);
            setTimeout(() => readAsDataURL.apply(waiting[1][0], [waiting[1][1]]), 500);
        };
    }""")
    large, small = draw_picture(DIGITS[4]).resize((560, 560)), draw_picture(DIGITS[9]).resize((60, 60))
    files = [payload(encode(large, "PNG"), "large.png"), payload(encode(small, "PNG"), "small.png")]
    page.get_by_label("Upload pictures").set_input_files(files)
    expect(page.locator("#history .card span")).to_have_text(["9", "4"])


def test_several_pictures_are_summed_up_and_saved_as_csv(open_page: OpenPage) -> None:
    page = open_page(errors="415")
    files = [payload(picture_of(DIGITS[4]), '=4 "four".png'), payload(b"hello", "bad.png")]
    page.get_by_label("Upload pictures").set_input_files(files)
    expect(page.get_by_text("1 of 2 pictures read, 1 could not be read")).to_be_visible()
    expect(page.locator("#batch small")).to_have_text([">99.9% sure", re.compile("not a picture")])
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert download.value.suggested_filename == "digits.csv"
    four, bad = csv.DictReader(Path(download.value.path()).read_text().splitlines())
    assert (four["name"], four["text"], four["is_digit"], four["error"]) == ('\'=4 "four".png', "4", "true", "")
    assert 0.99 < float(four["confidence"]) <= 1
    assert (bad["name"], bad["text"]) == ("bad.png", "")
    assert "not a picture" in bad["error"]
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("button", name="Download CSV")).to_be_hidden()


def test_pictures_replace_no_drawing_that_is_begun_meanwhile(open_page: OpenPage) -> None:
    page = open_page()
    uploads: list[Route] = []

    def hold_uploads(route: Route) -> None:
        if "multipart" in route.request.headers["content-type"] and not uploads:
            uploads.append(route)
        else:
            route.continue_()

    page.route("**/api/v1/read*", hold_uploads)
    files = [payload(picture_of(DIGITS[digit]), f"{digit}.png") for digit in (4, 5)]
    page.get_by_label("Upload pictures").set_input_files(files)
    draw(page, DIGITS[7])
    expect_answer(page, 7)
    (upload,) = uploads
    upload.continue_()
    expect(page.locator("#batch strong")).to_have_text(["This is a 4", "This is a 5"])
    expect_answer(page, 7)
    assert has_ink(page, *DIGITS[7][0][2])


def test_pictures_replace_no_drawing_that_is_begun_while_their_list_loads(open_page: OpenPage) -> None:
    page = open_page()
    held: list[Route] = []
    page.route("**/batch.js", lambda route: held.append(route))
    files = [payload(picture_of(DIGITS[digit]), f"{digit}.png") for digit in (4, 5)]
    with page.expect_request("**/batch.js"):
        page.get_by_label("Upload pictures").set_input_files(files)
    draw(page, DIGITS[7])
    expect_answer(page, 7)
    held[0].continue_()
    expect(page.locator("#batch strong")).to_have_text(["This is a 4", "This is a 5"])
    expect_answer(page, 7)


@pytest.mark.parametrize("by_key", [False, True])
def test_picture_is_turned_and_read_again(open_page: OpenPage, by_key: bool) -> None:
    page = open_page()
    picture = draw_picture(EUROPEAN_7, (280, 240)).rotate(90, expand=True)
    page.get_by_label("Upload pictures").set_input_files(payload(encode(picture)))
    expect(page.locator("[data-slot=words]")).not_to_have_text(re.compile("Nothing|Reading"))
    with page.expect_request("**/read*"):
        if by_key:
            # Playwright's Alt+R has no character, by which Chromium finds access keys.
            alt_r = {"type": "char", "modifiers": 1, "text": "r", "unmodifiedText": "r"}
            page.context.new_cdp_session(page).send("Input.dispatchKeyEvent", alt_r)
        else:
            page.get_by_role("button", name="Turn").click()
    expect_answer(page, 7)
    wait_until(page, "document.getElementById('picture').naturalWidth === 280")


@pytest.mark.parametrize(
    ("name", "numeral"),
    [("Chalk", "2"), ("Pencil", "5"), ("Ballpoint", "7"), ("Felt pen", "8"), ("row", "314"), ("scribble", "?")],
)
def test_sample_is_read_with_one_tap(open_page: OpenPage, name: str, numeral: str) -> None:
    page = open_page()
    page.get_by_role("button", name=name).click()
    expect(page.locator("[data-slot=numeral]")).to_have_text(numeral)
    expect_picture(page)


def test_sample_that_cannot_be_loaded_can_be_pressed_again(open_page: OpenPage) -> None:
    page = open_page(errors="Failed to load resource")
    page.route("**/samples/*", lambda route: route.abort())
    page.get_by_role("button", name="Chalk").click()
    expect(page.locator("#answer")).to_contain_text("The sample cannot be loaded")
    page.unroute("**/samples/*")
    page.get_by_role("button", name="Chalk").click()
    expect_answer(page, 2)


def test_several_pictures_without_javascript_give_a_list(open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)
    files = [payload(b"hello", "bad.png"), payload(picture_of(DIGITS[4]), "four.png")]
    page.get_by_label("Upload pictures").set_input_files(files)
    page.get_by_role("button", name="Read picture", exact=True).click()
    expect(page.locator("#batch strong")).to_have_text(["Unsupported picture", "This is a 4"])
    expect_answer(page, 4)
    expect(page.locator("#outline path")).to_be_visible()


def test_phones_are_offered_their_camera(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    camera = page.get_by_label("Take a photo")
    assert camera.get_attribute("capture") == "environment"
    camera.set_input_files(payload(picture_of(DIGITS[4])))
    expect_answer(page, 4)


def test_undo_restores_the_drawing_that_a_picture_replaced(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    page.get_by_label("Upload pictures").set_input_files(payload(picture_of(DIGITS[4])))
    expect_answer(page, 4)
    page.get_by_role("button", name="Undo").click()
    expect_answer(page, 5)
    expect(page.locator("#picture")).to_be_hidden()


def test_file_that_is_not_a_picture_is_explained(open_page: OpenPage) -> None:
    page = open_page(errors="415")
    page.get_by_label("Upload pictures").set_input_files(payload(b"hello"))
    expect(page.locator("[data-slot=note]")).to_contain_text("The file is not a picture")
    page.get_by_label("Upload pictures").set_input_files(payload(picture_of(DIGITS[2])))
    expect_answer(page, 2)


def test_blank_picture_is_reported(open_page: OpenPage) -> None:
    page = open_page(errors="422")
    page.get_by_label("Upload pictures").set_input_files(payload(encode(Image.new("L", (200, 200), 255))))
    expect(page.locator("[data-slot=words]")).to_have_text("Nothing to read")
    expect(page.locator("[data-slot=numeral]")).to_have_text("!")


def test_too_large_picture_is_not_sent_and_the_drawing_stays(open_page: OpenPage, tmp_path: Path) -> None:
    (tmp_path / "heavy.png").write_bytes(bytes(13 * 2**20))
    page = open_page()
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    page.wait_for_load_state("networkidle")
    asked = []
    page.on("request", lambda request: asked.append(request) if request.method == "POST" else None)
    page.get_by_label("Upload pictures").set_input_files(tmp_path / "heavy.png")
    expect(page.locator("[data-slot=words]")).to_have_text("Too large")
    assert asked == []
    assert has_ink(page, *DIGITS[5][0][20])


def test_undo_does_not_disturb_a_picture(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_label("Upload pictures").set_input_files(payload(picture_of(DIGITS[3])))
    page.get_by_role("button", name="Undo").click(force=True)
    expect_answer(page, 3)
    expect_picture(page)


def test_drawing_replaces_a_picture(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_label("Upload pictures").set_input_files(payload(picture_of(DIGITS[3])))
    expect_answer(page, 3)
    draw(page, DIGITS[8])
    expect_answer(page, 8)
    expect(page.locator("#picture")).to_be_hidden()


def test_clear_removes_the_picture(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_label("Upload pictures").set_input_files(payload(picture_of(DIGITS[3])))
    expect_answer(page, 3)
    page.get_by_role("button", name="Clear").click()
    expect_nothing_drawn(page)
    expect(page.locator("#picture")).to_be_hidden()


def test_same_picture_can_be_chosen_again_after_undo(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    for _ in range(2):
        page.get_by_label("Upload pictures").set_input_files(payload(picture_of(DIGITS[4])))
        expect_answer(page, 4)
        # Otherwise choosing the same file again would be no change to the browser.
        assert page.get_by_label("Upload pictures").input_value() == ""
        page.get_by_role("button", name="Undo").click()
        expect_answer(page, 5)
