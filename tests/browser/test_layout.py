"""Where things are on the page, at many sizes: nothing overlaps or leaves its box, and the answer is in sight."""

import pytest
from playwright.sync_api import FloatRect, Page, expect

from testing.handwriting import DIGITS, write_row
from testing.pad import draw
from testing.page import OpenPage, expect_answer, expect_number, payload
from testing.pictures import picture_of

pytestmark = pytest.mark.browser

WIDE = [(1280, 800), (990, 700), (860, 640), (768, 1024), (737, 900)]
# Phones, upright and on their side, and desktops at 200 % zoom.
SMALL = [(320, 568), (390, 664), (740, 360), (640, 400), (568, 320), (683, 384), (960, 540)]

# Overlaps of visible texts, and elements beyond the box that contains them.
FAULTS = """() => {
    const isSeen = (element) =>
        element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) &&
        !element.closest(".visually-hidden, [aria-hidden=true].hint");
    const clip = (rect, element) => {
        let { left, top, right, bottom } = rect;
        for (let box = element; box && box !== document.body; box = box.parentElement) {
            if (getComputedStyle(box).overflowX === "visible") continue;
            const edge = box.getBoundingClientRect();
            [left, right] = [Math.max(left, edge.left), Math.min(right, edge.right)];
            [top, bottom] = [Math.max(top, edge.top), Math.min(bottom, edge.bottom)];
        }
        return { left, top, right, bottom };
    };
    const faults = [];
    const texts = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const { data, parentElement } = walker.currentNode;
        if (!data.trim() || parentElement.closest("script, option") || !isSeen(parentElement)) continue;
        const range = document.createRange();
        range.selectNodeContents(walker.currentNode);
        for (const rect of range.getClientRects()) texts.push({ text: data.trim(), ...clip(rect, parentElement) });
    }
    for (const [i, a] of texts.entries()) {
        for (const b of texts.slice(i + 1)) {
            const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (a.text !== b.text && width > 1 && height > 4) faults.push(`"${a.text}" over "${b.text}"`);
        }
    }
    for (const inner of document.querySelectorAll("main :is(p, .bar, .percent, button, label, img, h3, input)")) {
        const box = inner.closest(".details, .verdict, .sheet, .upload, .history");
        if (!box || !isSeen(inner) || inner.closest(".cards, .paper, .choices")) continue;
        const [{ left, right, width }, edge] = [inner.getBoundingClientRect(), box.getBoundingClientRect()];
        const isOut = left < edge.left - 1 || right > edge.right + 1;
        if (edge.width && width && isOut) faults.push(`${inner.outerHTML.slice(0, 60)} out of ${box.className}`);
    }
    if (document.documentElement.scrollWidth > innerWidth) faults.push("the page scrolls sideways");
    return faults;
}"""


def box_of(page: Page, selector: str) -> FloatRect:
    box = page.locator(selector).bounding_box()
    assert box, f"{selector} is not visible"
    return box


def is_in_sight(page: Page, selector: str) -> bool:
    box, size = box_of(page, selector), page.viewport_size
    assert size
    return box["y"] >= 0 and box["y"] + box["height"] <= size["height"] + 1 and box["x"] + box["width"] <= size["width"]


def overlap(a: FloatRect, b: FloatRect) -> bool:
    width = min(a["x"] + a["width"], b["x"] + b["width"]) - max(a["x"], b["x"])
    height = min(a["y"] + a["height"], b["y"] + b["height"]) - max(a["y"], b["y"])
    return width > 1 and height > 1


@pytest.mark.parametrize("language", ["en", "de"])
def test_nothing_overlaps_or_leaves_its_box(open_page: OpenPage, language: str) -> None:
    page = open_page(locale=language, errors="415")
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    page.locator("#correction select").select_option("6")
    files = [payload(picture_of(DIGITS[4]), "a long name of a picture.png"), payload(b"hello", "bad.png")]
    page.locator("#file").set_input_files(files)
    expect(page.locator("#batch small").last).not_to_be_empty()
    for width, height in WIDE + SMALL:
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(FAULTS) == [], f"{width}x{height}, {scheme}"


def test_number_and_its_words_stay_in_their_box(open_page: OpenPage) -> None:
    page = open_page(locale="de")
    draw(page, write_row("271828", 80, 5, 100))
    expect_number(page, "271828")
    for width, height in WIDE + SMALL:
        page.set_viewport_size({"width": width, "height": height})
        for words in ("Das ist 271828", "Wahrscheinlich 271828"):
            page.locator("[data-slot=words]").evaluate("(words, text) => words.textContent = text", words)
            assert page.evaluate(FAULTS) == [], f"{width}x{height}, {words}"


@pytest.mark.parametrize("language", ["en", "de"])
def test_answer_is_in_sight_while_the_pen_moves(open_page: OpenPage, language: str) -> None:
    page = open_page(locale=language)
    for width, height in WIDE + SMALL:
        page.set_viewport_size({"width": width, "height": height})
        draw(page, DIGITS[5], release=False)
        expect_answer(page, 5)
        assert page.evaluate("scrollY") == 0
        for selector in ("[data-slot=numeral]", "[data-slot=words]", "#pad"):
            assert is_in_sight(page, selector), f"{selector} at {width}x{height}"
        assert box_of(page, "#pad")["width"] >= 220
        assert not overlap(box_of(page, ".verdict"), box_of(page, "#pad"))
        page.mouse.up()
        page.keyboard.press("Control+z")


def test_answer_stays_in_sight_on_a_scrolled_page(open_page: OpenPage) -> None:
    page = open_page()
    for width, height in WIDE + SMALL:
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate("scrollTo(0, document.getElementById('pad').getBoundingClientRect().height / 2)")
        assert is_in_sight(page, "[data-slot=words]"), f"{width}x{height}"
        page.evaluate("scrollTo(0, 0)")
