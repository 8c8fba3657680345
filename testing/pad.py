"""A hand for the browser: draws handwriting with mouse or fingers, and looks at what the pad shows."""

import time

from playwright.sync_api import CDPSession, Page

from testing.handwriting import Drawing, Stroke

SIDE = 280  # of the sheet that handwriting is written on
PATIENCE = 60.0  # seconds; how long something takes says more about the machine than about the page


def place(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where the point of a sheet lies on the screen now."""
    return _on_screen(page, [[x, y]])[0]


def _on_screen(page: Page, stroke: Stroke) -> list[tuple[float, float]]:
    box = page.locator("#pad").bounding_box()
    assert box
    return [(box["x"] + x * box["width"] / SIDE, box["y"] + y * box["height"] / SIDE) for x, y in stroke]


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
    """Touches, as a touch screen reports them: several at once, each with its id."""

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
        """The system takes all touches for something else."""
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
    """Return once the expression is true; `AssertionError` where it does not come true.

    Playwright's own `wait_for_function` evaluates it in the page if it is not true at once, which the page forbids.
    """
    deadline = time.monotonic() + PATIENCE
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"not true after {PATIENCE:g} s: {expression}"
        page.wait_for_timeout(20)


def colour(page: Page, x: float, y: float) -> tuple[int, int, int, int]:
    """Red, green, blue and alpha, 0 to 255, of what the pad shows at a point of the sheet."""
    pixel = page.evaluate(
        """async ([x, y]) => {
            // Redrawing waits for the next frame of the screen.
            for (let i = 0; i < 2; i += 1) await new Promise(requestAnimationFrame);
            const pad = document.getElementById("pad");
            const copy = new OffscreenCanvas(1, 1).getContext("2d");
            copy.drawImage(pad, -x * pad.width, -y * pad.height);
            return [...copy.getImageData(0, 0, 1, 1).data];
        }""",
        [x / SIDE, y / SIDE],
    )
    return tuple(pixel)


def has_ink(page: Page, x: float, y: float) -> bool:
    """Whether the pad shows ink at a point of the sheet."""
    return colour(page, x, y)[3] > 128
