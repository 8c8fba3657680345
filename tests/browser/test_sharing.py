"""What leaves the page: the answer as text, and a link that holds the drawing."""

import pytest
from playwright.sync_api import Page, Request, expect

from testing.handwriting import DIGITS, EUROPEAN_7
from testing.pad import draw, has_ink
from testing.page import OpenPage, expect_answer, expect_nothing_drawn

pytestmark = pytest.mark.browser


def clipboard(page: Page) -> str:
    return str(page.evaluate("navigator.clipboard.readText()"))


def copied(page: Page, name: str) -> str:
    page.get_by_role("button", name=name).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    return clipboard(page)


def test_answer_is_copied(open_page: OpenPage) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    expect(page.get_by_role("button", name="Copy answer")).to_be_disabled()
    draw(page, DIGITS[5])
    expect_answer(page, 5)
    assert copied(page, "Copy answer") == "5"


def test_link_opens_the_drawing_and_the_server_never_sees_it(open_page: OpenPage) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    draw(page, EUROPEAN_7)
    expect_answer(page, 7)
    link = copied(page, "Copy link")
    assert len(link) < 1000
    asked: list[Request] = []
    other = page.context.new_page()
    other.on("request", lambda request: asked.append(request))
    other.goto(link)
    expect_answer(other, 7)
    assert has_ink(other, *EUROPEAN_7[1][2])
    assert "#" not in other.url
    assert not any("drawing" in request.url.partition("#")[0] for request in asked)
    page.get_by_role("button", name="Clear").click()
    page.evaluate("link => { location.href = link; }", link)
    expect_answer(page, 7)


@pytest.mark.parametrize("fragment", ["", "#drawing=", "#drawing=a,b;<b>", "#drawing=1e999,2;3", "#other"])
def test_link_without_a_drawing_opens_the_empty_page(open_page: OpenPage, fragment: str) -> None:
    page = open_page()
    url = page.url
    page.goto("about:blank")
    page.goto(url + fragment)
    expect_nothing_drawn(page)
