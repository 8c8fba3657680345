"""A real Chromium, and a real server for it to talk to."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import BaseWSGIServer, make_server

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = [
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # A name of this machine that browsers trust no more than any other host on plain http.
    "--host-resolver-rules=MAP digits.test 127.0.0.1",
]
OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        reason = f"no Chromium found: none of {', '.join(NAMES)} is on the PATH (on Debian: apt install chromium)"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    # Chromium refuses its sandbox to root, who runs the tests in containers.
    as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS + as_root)
        yield browser
        browser.close()


class Server:
    """The app behind a socket, which can go away and come back."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._server: BaseWSGIServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        self._server = make_server("127.0.0.1", self.port, self._app, threaded=True)
        self.port = self._server.port
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None


@pytest.fixture
def server(app: Flask) -> Iterator[Server]:
    server = Server(app)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def open_page(browser: Browser, server: Server) -> Iterator[OpenPage]:
    """Opens the page in a window of its own; afterwards no error may stand in its console.

    `errors` names the words of those that the test provokes. Whatever happens, only our own server is asked.
    """
    faults: list[str] = []
    contexts = []

    def open_page(*, host: str = "127.0.0.1", errors: str | None = None, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        own = (f"http://{host}:{server.port}/", "data:", "blob:")
        page.on("request", lambda r: None if r.url.startswith(own) else faults.append(f"asked {r.url}"))
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
