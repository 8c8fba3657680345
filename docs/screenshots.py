"""Takes the pictures of the page that the documentation shows, in Chromium.

    python docs/screenshots.py      # writes docs/page-*.png and docs/drawing.webp

Needs the development requirements and a Chromium, such as Debian's package `chromium`.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, FloatRect, Page, expect, sync_playwright

DOCS = Path(__file__).resolve().parent
# A script finds modules in its own folder only.
sys.path.insert(0, str(DOCS.parent))

from testing.chromium import MISSING, find_chromium, launch  # noqa: E402
from testing.handwriting import DIGITS, EUROPEAN_7, HANDWRITINGS, Drawing  # noqa: E402
from testing.pad import draw, place  # noqa: E402
from testing.pictures import picture_of  # noqa: E402
from testing.servers import start_gunicorn  # noqa: E402

DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True}
# Just wide enough for both columns of the page.
NARROW: dict[str, Any] = {"viewport": {"width": 900, "height": 640}}
FRAME_MS, FIRST_FRAME_MS, LAST_FRAME_MS = 50, 500, 1400
SPIRAL: Drawing = [
    [
        [140 + round(r * x), 140 + round(r * y)]
        for r, x, y in (
            (4 * i, (1, 0.7, 0, -0.7, -1, -0.7, 0, 0.7)[i % 8], (0, 0.7, 1, 0.7, 0, -0.7, -1, -0.7)[i % 8])
            for i in range(26)
        )
    ]
]


def main() -> int:
    """Take every picture. Returns 2 if there is no browser."""
    path = find_chromium()
    if path is None:
        print(f"screenshots.py: {MISSING}", file=sys.stderr)
        return 2
    expect.set_options(timeout=60_000)
    with (
        tempfile.TemporaryDirectory() as folder,
        start_gunicorn(Path(folder) / "log", workers=1) as server,
        sync_playwright() as playwright,
        launch(playwright, path) as browser,
    ):
        take_all(browser, f"{server.url}/")
        record_drawing(browser, f"{server.url}/", EUROPEAN_7)
    return 0


def take_all(browser: Browser, url: str) -> None:
    """Every picture of the documentation."""

    def take(name: str, act: Callable[[Page], None], **options: Any) -> None:
        with browser.new_context(**options) as context:
            page = context.new_page()
            page.goto(url)
            act(page)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=DOCS / f"page-{name}.png", animations="disabled")
            print(f"docs/page-{name}.png")

    take("light", drawn(EUROPEAN_7, "7"), **DESKTOP)
    take("dark", drawn(HANDWRITINGS[2][1], "2"), **DESKTOP, color_scheme="dark")
    take("phone", drawn(DIGITS[5], "5"), **PHONE)
    take("no-digit", drawn(SPIRAL, "?"), **DESKTOP)
    take("picture", uploaded(picture_of(DIGITS[4])), **DESKTOP, java_script_enabled=False)
    take("refused", uploaded(b"This is no picture."), **DESKTOP, java_script_enabled=False)
    take("why", explained(DIGITS[4], "4"), **DESKTOP)
    take("offline", drawn_offline(DIGITS[6]), **DESKTOP)
    take("model", about_the_model, **DESKTOP)
    take("model-phone", about_the_model, **PHONE, color_scheme="dark", locale="de-DE")


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
                with page.expect_response("**/predict*"):
                    page.mouse.move(*place(page, *point))
                page.wait_for_load_state("networkidle")
                take_frame()
            page.mouse.up()
        take_frame()
    durations = [FIRST_FRAME_MS, *[FRAME_MS] * (len(frames) - 2), LAST_FRAME_MS]
    path = DOCS / "drawing.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, lossless=True, method=6)
    print(f"docs/{path.name}: {len(frames)} frames, {sum(durations) / 1000:.1f} s, {path.stat().st_size / 1000:.0f} kB")


def box_of(page: Page, selector: str) -> FloatRect:
    """Where an element is on the page."""
    box = page.locator(selector).bounding_box()
    if box is None:
        raise ValueError(f"{selector} is not visible")
    return box


def drawn(drawing: Drawing, numeral: str) -> Callable[[Page], None]:
    """Draw, and wait for the answer."""

    def act(page: Page) -> None:
        draw(page, drawing)
        expect(page.locator("[data-slot=numeral]")).to_have_text(numeral)

    return act


def explained(drawing: Drawing, numeral: str) -> Callable[[Page], None]:
    """Draw, and explain the answer."""

    def act(page: Page) -> None:
        drawn(drawing, numeral)(page)
        page.get_by_role("button", name="Explain").click()
        expect(page.locator("#heatmap")).to_be_visible()

    return act


def about_the_model(page: Page) -> None:
    """Open the page about the model."""
    page.goto(page.url + "model")
    page.locator("h2").nth(1).scroll_into_view_if_needed()


def drawn_offline(drawing: Drawing) -> Callable[[Page], None]:
    """Draw while offline."""

    def act(page: Page) -> None:
        page.context.set_offline(True)
        draw(page, drawing)
        expect(page.locator("[data-slot=words]")).to_contain_text("cannot be reached")

    return act


def uploaded(data: bytes) -> Callable[[Page], None]:
    """Send a file with the form."""

    def act(page: Page) -> None:
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            file.write(data)
            file.flush()
            page.get_by_label("Upload pictures").set_input_files(file.name)
            page.get_by_role("button", name="Read picture", exact=True).click()

    return act


if __name__ == "__main__":
    sys.exit(main())
