"""Draws handwriting on the page with mouse or touch, and reads back what the canvas shows."""

from playwright.sync_api import CDPSession, Page

from testing.handwriting import Drawing, Stroke
from testing.waiting import eventually

SIDE = 280  # height of the sheet, and of the square that handwriting is written on


def place(page: Page, x: float, y: float) -> tuple[float, float]:
    """Screen coordinates of a point of the sheet."""
    return _on_screen(page, [[x, y]])[0]


def _on_screen(page: Page, stroke: Stroke) -> list[tuple[float, float]]:
    box = page.locator("#pad").bounding_box()
    assert box
    return [(box["x"] + x * box["height"] / SIDE, box["y"] + y * box["height"] / SIDE) for x, y in stroke]


def draw(page: Page, drawing: Drawing, *, release: bool = True) -> None:
    """Draw with the mouse; `release=False` keeps its button down at the end of the last stroke."""
    for stroke in drawing:
        start, *rest = _on_screen(page, stroke)
        page.mouse.move(*start)
        page.mouse.down()
        for point in rest:
            page.mouse.move(*point)
        if release or stroke is not drawing[-1]:
            page.mouse.up()


class Fingers:
    """Touch input with several fingers at once, each with its id."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._down: dict[int, tuple[float, float]] = {}

    def put(self, finger: int, x: float, y: float) -> None:
        """Put a finger down on the sheet, or move it there."""
        kind = "touchMove" if finger in self._down else "touchStart"
        self._down[finger] = place(self._page, x, y)
        self._send(kind)

    def lift(self, finger: int) -> None:
        del self._down[finger]
        self._send("touchEnd")

    def cancel(self) -> None:
        """End all touches with a touchcancel event, as when the system takes over a gesture."""
        self._down.clear()
        self._send("touchCancel")

    def draw(self, stroke: Stroke, finger: int = 0) -> None:
        for x, y in stroke:
            self.put(finger, x, y)
        self.lift(finger)

    def _send(self, kind: str) -> None:
        points = [{"id": finger, "x": x, "y": y} for finger, (x, y) in self._down.items()]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def wait_until(page: Page, expression: str) -> None:
    """Return once a JavaScript expression is true; raises `AssertionError` if it does not become true.

    Playwright's `wait_for_function` uses `eval` in the page, which the content security policy forbids.
    """
    eventually(lambda: page.evaluate(expression))


def colour(page: Page, x: float, y: float) -> tuple[int, int, int, int]:
    """Red, green, blue and alpha of the canvas at a point of the sheet, 0 to 255."""
    pixel = page.evaluate(
        """async ([x, y]) => {
            // Redrawing waits for the next frame of the screen.
            for (let i = 0; i < 2; i += 1) await new Promise(requestAnimationFrame);
            const pad = document.getElementById("pad");
            const copy = new OffscreenCanvas(1, 1).getContext("2d");
            copy.drawImage(pad, -x * pad.height, -y * pad.height);
            return [...copy.getImageData(0, 0, 1, 1).data];
        }""",
        [x / SIDE, y / SIDE],
    )
    return tuple(pixel)


def has_ink(page: Page, x: float, y: float) -> bool:
    """Whether the canvas shows ink at a point of the sheet."""
    return colour(page, x, y)[3] > 128


def heat(page: Page) -> list[list[int]]:
    """How opaque the heat map is, 0 to 255, on a grid of 28 by 28 points of the sheet."""
    rows: list[list[int]] = page.locator("#heatmap").evaluate(
        """(canvas, side) => {
            const copy = new OffscreenCanvas(side, side).getContext("2d");
            copy.imageSmoothingEnabled = false; // which would spread the heat beyond the ink
            copy.drawImage(canvas, 0, 0, (canvas.width * side) / canvas.height, side);
            const { data } = copy.getImageData(0, 0, side, side);
            const at = (i) => Math.floor((i + 0.5) * side / 28);
            return Array.from({ length: 28 }, (_, y) =>
                Array.from({ length: 28 }, (_, x) => data[4 * (at(y) * side + at(x)) + 3]));
        }""",
        SIDE,
    )
    return rows
