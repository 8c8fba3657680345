"""Expectations of browser tests."""

from collections.abc import Callable
from typing import TypeAlias

from playwright.sync_api import FilePayload, Page, expect

from testing.pad import wait_until

OpenPage: TypeAlias = Callable[..., Page]

NOTHING = "\u2013"  # the dash that stands where there is no answer


def expect_number(page: Page, text: str) -> None:
    """The page says that it reads `text`."""
    expect(page.locator("[data-slot=numeral]")).to_have_text(text, timeout=20_000)


def expect_answer(page: Page, digit: int) -> None:
    """The page says that it reads `digit`, and lists it first."""
    expect(page.locator("[data-slot=numeral]")).to_have_text(str(digit), timeout=20_000)
    expect(page.locator("[data-slot=top] .digit").first).to_have_text(str(digit))


def expect_nothing_drawn(page: Page) -> None:
    """The page shows no answer, and says why."""
    # The text that is visible: another one is for browsers without JavaScript.
    expect(page.locator("[data-slot=words]")).to_have_text("Nothing drawn yet", use_inner_text=True)
    expect(page.locator("[data-slot=numeral]")).to_have_text(NOTHING)
    expect(page.locator("[data-slot=top] .digit").first).to_have_text(NOTHING)


def expect_picture(page: Page) -> None:
    """The sheet shows a picture that the browser could open."""
    wait_until(page, "document.getElementById('picture').naturalWidth > 1")
    expect(page.locator("#picture")).to_be_visible()


def payload(data: bytes, name: str = "digit.png") -> FilePayload:
    """A file to choose in a form."""
    return {"name": name, "mimeType": "image/png", "buffer": data}
