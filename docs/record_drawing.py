"""Records the animation in the README: a number is drawn on the page in Chromium.

    python -m docs.record_drawing      # writes docs/drawing.webp

Needs the development requirements and a Chromium, such as Debian's package `chromium`.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, FloatRect, Page, sync_playwright

from config import ROOT
from testing.chromium import MISSING, find_chromium, launch
from testing.handwriting import Drawing, write_row
from testing.pad import place
from testing.servers import start_gunicorn

# Just wide enough for both columns of the page.
NARROW: dict[str, Any] = {"viewport": {"width": 900, "height": 640}}
NUMBER = write_row("314", size=130, left=40, top=75)
FRAME_MS, FIRST_FRAME_MS, LAST_FRAME_MS = 50, 500, 1400


def main() -> int:
    """Record the animation. Returns 2 if there is no browser."""
    path = find_chromium()
    if path is None:
        print(f"record_drawing.py: {MISSING}", file=sys.stderr)
        return 2
    with (
        tempfile.TemporaryDirectory() as folder,
        start_gunicorn(Path(folder) / "log", workers=1) as server,
        sync_playwright() as playwright,
        launch(playwright, path) as browser,
    ):
        record_drawing(browser, f"{server.url}/", NUMBER)
    return 0


def record_drawing(browser: Browser, url: str, drawing: Drawing) -> None:
    """An animation of a drawing and its answers, at the speed of a hand however slow the recording is."""
    frames = []
    with browser.new_context(**NARROW) as context:
        page = context.new_page()
        page.goto(url)
        sheet, answer = box_of(page, "#sheet"), box_of(page, "#answer")
        right = answer["x"] + answer["width"]
        clip: FloatRect = {
            "x": sheet["x"] - 8,
            "y": sheet["y"] - 8,
            "width": right - sheet["x"] + 16,
            "height": max(sheet["height"], answer["height"]) + 16,
        }

        def take_frame() -> None:
            png = page.screenshot(clip=clip)
            frames.append(Image.open(io.BytesIO(png)).convert("RGB"))

        take_frame()
        for stroke in drawing:
            page.mouse.move(*place(page, *stroke[0]))
            page.mouse.down()
            for point in stroke[1:]:
                with page.expect_response("**/read*"):
                    page.mouse.move(*place(page, *point))
                page.wait_for_load_state("networkidle")
                take_frame()
            page.mouse.up()
        take_frame()
    durations = [FIRST_FRAME_MS, *[FRAME_MS] * (len(frames) - 2), LAST_FRAME_MS]
    path = ROOT / "docs" / "drawing.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, lossless=True, method=6)
    print(f"docs/{path.name}: {len(frames)} frames, {sum(durations) / 1000:.1f} s, {path.stat().st_size / 1000:.0f} kB")


def box_of(page: Page, selector: str) -> FloatRect:
    """Where an element is on the page."""
    box = page.locator(selector).bounding_box()
    if box is None:
        raise ValueError(f"{selector} is not visible")
    return box


if __name__ == "__main__":
    sys.exit(main())
