"""The page about the model, in Chromium: accessible, in both languages, on every screen."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from testing.page import OpenPage

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("locale", ["en-GB", "de-DE"])
def test_page_is_accessible(open_page: OpenPage, locale: str) -> None:
    page = open_page(locale=locale, reduced_motion="reduce")
    page.goto(page.url + "model")
    for summary in page.locator("summary").all():
        summary.click()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("width", [320, 768, 3840])
def test_nothing_is_cut_off(open_page: OpenPage, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 800})
    page.goto(page.url + "model")
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # Text of a chart lies within the chart, and is large enough to be read.
    cut = page.evaluate(
        """() => [...document.querySelectorAll("svg.chart text")].filter((text) => {
            const inner = text.getBoundingClientRect();
            const outer = text.closest("svg").getBoundingClientRect();
            return inner.left < outer.left - 1 || inner.right > outer.right + 1 || inner.height < 9;
        }).map((text) => text.textContent)"""
    )
    assert cut == []


def test_table_that_is_cut_off_shows_that_it_scrolls(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 320, "height": 800})
    page.goto(page.url + "model")
    table = page.get_by_role("region", name="Digits", exact=True)
    assert table.evaluate("table => table.scrollWidth > table.clientWidth")
    before = table.screenshot()
    table.evaluate("table => { table.style.backgroundImage = 'none'; }")
    assert table.screenshot() != before


def test_visitors_are_not_told_to_run_commands(open_page: OpenPage) -> None:
    page = open_page()
    page.goto(page.url + "model")
    expect(page.locator("main")).not_to_contain_text("python")
    expect(page.get_by_text("This model was trained longer")).to_be_visible()


def test_chart_has_a_table_that_says_the_same(open_page: OpenPage) -> None:
    page = open_page()
    page.goto(page.url + "model")
    chart = page.get_by_role("img", name="How often each digit was read as which")
    expect(chart).to_be_visible()
    figure = page.locator("figure").filter(has=chart)
    expect(figure.get_by_role("table")).to_be_hidden()
    figure.get_by_text("As a table").click()
    expect(figure.get_by_role("table")).to_be_visible()
    numbers = [text for text in figure.get_by_role("cell").all_inner_texts() if text != "0"]
    assert numbers == chart.locator(".number").all_text_contents()


def test_link_changes_the_language_and_it_stays(open_page: OpenPage) -> None:
    page = open_page()
    page.goto(page.url + "model")
    page.get_by_role("link", name="Deutsch").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Das Modell")
    page.get_by_role("link", name="Eine Ziffer zeichnen").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Handgeschriebene Ziffern")
