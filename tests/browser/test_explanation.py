"""The explanation of an answer, as a heat map over the ink."""

import pytest
from playwright.sync_api import Page, Route, expect

from testing.handwriting import DIGITS
from testing.pad import draw, has_ink, heat, place
from testing.page import OpenPage, expect_answer, payload
from testing.pictures import picture_of
from testing.waiting import eventually

pytestmark = pytest.mark.browser

SEVEN = DIGITS[7]
EXPLAIN = "**/api/v1/explain*"
PREDICT = "**/api/v1/read*"


def explain(page: Page) -> None:
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#heatmap")).to_be_visible()


def test_heat_map_covers_only_the_ink(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, SEVEN)
    expect_answer(page, 7)
    explain(page)
    rows = heat(page)
    hot = {(10 * x + 5, 10 * y + 5) for y, row in enumerate(rows) for x, value in enumerate(row) if value > 32}
    assert len(hot) > 10
    assert all(has_ink(page, x, y) for x, y in hot)
    expect(page.get_by_role("radio", name="7")).to_be_checked()


def test_another_digit_can_be_explained(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, SEVEN)
    expect_answer(page, 7)
    explain(page)
    before = heat(page)
    page.get_by_role("radio", name="7").press("ArrowLeft")
    expect(page.get_by_role("radio", name="6")).to_be_checked()
    eventually(lambda: heat(page) != before)


def test_new_ink_hides_the_heat_map_until_it_is_explained_itself(open_page: OpenPage) -> None:
    page = open_page()
    draw(page, SEVEN)
    expect_answer(page, 7)
    explain(page)
    draw(page, [[[20, 250], [40, 250]]], release=False)
    expect(page.locator("#heatmap")).to_be_hidden()
    page.mouse.up()
    expect(page.locator("#heatmap")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("group", name="Blue ink")).to_be_hidden()
    draw(page, SEVEN)
    expect_answer(page, 7)
    expect(page.locator("#heatmap")).to_be_hidden()


def explain_and_hold(page: Page) -> list[Route]:
    """Ask for an explanation of a 7; the request is held back."""
    held: list[Route] = []
    page.route(EXPLAIN, lambda route: held.append(route))
    draw(page, SEVEN)
    expect_answer(page, 7)
    with page.expect_request(EXPLAIN):
        page.get_by_role("button", name="Explain").click()
    return held


def test_late_explanation_is_not_shown_over_newer_ink(open_page: OpenPage) -> None:
    page = open_page()
    held = explain_and_hold(page)
    page.get_by_role("button", name="Clear").click()
    held[0].continue_()
    draw(page, DIGITS[1])
    expect_answer(page, 1)
    expect(page.locator("#heatmap")).to_be_hidden()


def test_answer_to_unfinished_ink_cannot_be_explained(open_page: OpenPage) -> None:
    page = open_page()
    held: list[Route] = []
    draw(page, SEVEN, release=False)
    expect(page.locator("#explain")).to_have_attribute("aria-disabled", "false")
    page.route(PREDICT, lambda route: held.append(route))
    with page.expect_request(PREDICT):
        page.mouse.move(*place(page, *SEVEN[-1][-2]))
    page.mouse.up()
    assert page.locator("#explain").get_attribute("aria-disabled") == "true"
    for route in held:
        route.continue_()
    expect(page.locator("#explain")).to_have_attribute("aria-disabled", "false")


def test_slow_explanation_is_awaited(open_page: OpenPage) -> None:
    page = open_page()
    page.clock.install()
    held = explain_and_hold(page)
    page.clock.run_for(5_000)
    held[0].continue_()
    expect(page.locator("#heatmap")).to_be_visible()


def test_prediction_stays_if_the_explanation_fails(open_page: OpenPage) -> None:
    page = open_page(errors="500")
    page.route(EXPLAIN, lambda route: route.fulfill(status=500, body=""))
    draw(page, SEVEN)
    expect_answer(page, 7)
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("[data-slot=words]")).to_have_text("No explanation available")
    expect(page.locator("#explain")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("[data-slot=top] .digit").first).to_have_text("7")


def test_failed_explanation_is_not_retried(open_page: OpenPage) -> None:
    page = open_page(errors="503")
    page.clock.install()
    asked: list[Route] = []

    def refuse(route: Route) -> None:
        asked.append(route)
        route.fulfill(status=503, body="")

    page.route(EXPLAIN, refuse)
    draw(page, SEVEN)
    expect_answer(page, 7)
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("[data-slot=words]")).to_have_text("No explanation available")
    page.clock.run_for(10_000)
    page.evaluate("async () => { await fetch('/api/v1/health/live'); }")  # behind any request that the clock set off
    assert len(asked) == 1


def test_picture_can_be_explained(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_label("Upload pictures").set_input_files(payload(picture_of(DIGITS[4])))
    expect_answer(page, 4)
    explain(page)
    assert max(map(max, heat(page))) > 100
