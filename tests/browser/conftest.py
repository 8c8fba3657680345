"""Fixtures: Chromium, and pages of a running server."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from testing.chromium import MISSING, find_chromium, launch
from testing.page import OpenPage
from testing.programs import require
from testing.servers import Server

# Generous, because test machines are slow.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = require("browser", find_chromium(), MISSING)
    with sync_playwright() as playwright:
        browser = launch(playwright, path)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, server: Server) -> Iterator[OpenPage]:
    """Open the page in a new browser context. Errors in its console, and requests to other servers, fail the test.

    `errors` is a text in the console errors that the test expects.
    """
    faults: list[str] = []
    contexts = []

    def open_page(*, host: str = "127.0.0.1", errors: str | None = None, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        own = (f"http://{host}:{server.address[1]}/", "data:", "blob:")
        page.on("request", lambda r: None if r.url.startswith(own) else faults.append(f"request to {r.url}"))
        page.on("pageerror", lambda error: faults.append(f"uncaught {error}"))
        page.on(
            "console",
            lambda message: (
                faults.append(f"console: {message.text}")
                if message.type in {"error", "warning"} and not (errors and errors in message.text)
                else None
            ),
        )
        page.goto(own[0])
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []
