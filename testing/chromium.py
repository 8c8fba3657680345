"""Finds and starts the Chromium of this machine, for tests, benchmarks and `docs/record_drawing.py`."""

import os
import shutil

from playwright.sync_api import Browser, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MISSING = f"no Chromium found: none of {', '.join(NAMES)} is on the PATH (on Debian: apt install chromium)"
ARGUMENTS = [
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # A name of this machine that browsers trust no more than any other host on plain http.
    "--host-resolver-rules=MAP digits.test 127.0.0.1",
]


def find_chromium() -> str | None:
    """Path of the browser, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def launch(playwright: Playwright, path: str) -> Browser:
    """Start the browser, without a window."""
    # Chromium refuses its sandbox to root, who runs the tests in containers.
    as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=path, args=ARGUMENTS + as_root)
