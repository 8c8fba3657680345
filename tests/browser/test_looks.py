"""Appearance: contrast, small screens, and no layout shifts."""

import json
import re
from itertools import product
from pathlib import Path

import pytest
from playwright.sync_api import expect

from testing.handwriting import DIGITS
from testing.pad import colour, draw
from testing.page import OpenPage, expect_answer
from testing.waiting import eventually

STYLE = (Path(__file__).parents[2] / "static" / "style.css").read_text()
TEXT = product(["text", "muted", "faint", "accent"], ["page", "card"])


def colours(scheme: str) -> dict[str, str]:
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    found = re.findall(r"--(\w[\w-]*): #([0-9a-f]{6});", light + (dark if scheme == "dark" else ""))
    return dict(found)


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2)."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted([luminance(first), luminance(second)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back", "least"),
    [
        *((front, back, 4.5) for front, back in TEXT),
        ("text", "soft", 4.5),
        ("accent-text", "accent", 4.5),
        ("edge", "card", 3),
        ("edge", "page", 3),
        ("accent", "soft", 3),
        ("faint", "card", 3),
    ],
)
def test_contrast_is_enough(scheme: str, front: str, back: str, least: float) -> None:
    palette = colours(scheme)
    assert contrast(palette[front], palette[back]) >= least


@pytest.mark.browser
def test_nothing_is_cut_off(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, DIGITS[3])
    expect_answer(page, 3)
    for width in (320, 390, 768, 1280, 3840):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_layout_does_not_shift_when_answers_appear_and_disappear(open_page: OpenPage, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 800}, errors="Failed to load resource")
    page.evaluate(
        """() => {
            window.shifts = [];
            const name = ({ node, previousRect: a, currentRect: b }) =>
                [(node.parentNode ?? node).outerHTML.slice(0, 80), a.toJSON(), b.toJSON()];
            new PerformanceObserver((list) => {
                for (const { sources } of list.getEntries()) shifts.push(...sources.map(name));
            }).observe({ type: "layout-shift" });
        }"""
    )
    draw(page, DIGITS[3])
    expect_answer(page, 3)
    page.route("**/api/v1/read*", lambda route: route.abort())
    draw(page, [[[20, 20], [20, 60]]])
    expect(page.locator("[data-slot=words]")).to_have_text("The server cannot be reached")
    page.get_by_role("button", name="Clear").click()
    assert page.evaluate("shifts") == []


@pytest.mark.browser
def test_dark_scheme_has_light_ink_and_follows_a_change(open_page: OpenPage) -> None:
    page = open_page(color_scheme="dark")
    draw(page, DIGITS[1])
    assert colour(page, *DIGITS[1][0][5])[0] > 200
    page.emulate_media(color_scheme="light")
    # Chromium tells the page some frames later.
    eventually(lambda: colour(page, *DIGITS[1][0][5])[0] < 60)


@pytest.mark.browser
@pytest.mark.parametrize("locale", ["en", "de"])
def test_page_is_light(open_page: OpenPage, locale: str) -> None:
    page = open_page(locale=locale)
    page.wait_for_load_state("networkidle")
    sizes = page.evaluate("performance.getEntries().map((entry) => entry.decodedBodySize ?? 0)")
    assert len(sizes) > 10
    assert sum(sizes) <= 90_000


@pytest.mark.browser
def test_page_can_be_installed(open_page: OpenPage) -> None:
    page = open_page(locale="de")
    found = page.context.new_cdp_session(page).send("Page.getAppManifest")
    assert found["errors"] == []
    manifest = json.loads(found["data"])
    assert (manifest["name"], manifest["lang"], manifest["display"]) == ("Handgeschriebene Ziffern", "de", "standalone")
    for icon in manifest["icons"]:
        assert page.request.get(page.url.rstrip("/") + icon["src"]).headers["content-type"].startswith(icon["type"])
