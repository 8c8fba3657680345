"""Measure the time from a pointer event to the painted prediction that includes it, in Chromium, over loopback.

    python -m benchmarks.live_page                  # 200 drawings, writes benchmarks/results/live_page.md

Each digit is drawn 20 times at 125 points per second, the rate of a mouse. A move is timed from when the browser
received it to the end of the first frame that shows a prediction for a drawing with that move in it. Linux only.
"""

from __future__ import annotations

import sys
import tempfile
import time
from itertools import chain
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.report import Report, options
from testing.chromium import MISSING, find_chromium, launch
from testing.handwriting import HANDWRITINGS, Drawing
from testing.pad import place, wait_until
from testing.servers import start_gunicorn

DRAWINGS = 20  # of each digit
POINT_SECONDS = 1 / 125
MEDIAN_AIM, P95_AIM = 16.7, 50.0  # ms; the first is one frame at 60 Hz

# Marks each move when the browser receives it, and measures up to the frame that shows its prediction.
RECORDER = """
(() => {
  const moves = [];
  const requests = []; // ms until each answer was read, and the recognizer's own time of these
  let painted = 0; // moves in the drawing of the newest prediction that was painted
  const kind = "onpointerrawupdate" in window ? "pointerrawupdate" : "pointermove";
  addEventListener(kind, (event) => {
    if (event.buttons !== 1) return;
    for (const move of event.getCoalescedEvents()) moves.push(performance.mark("move", { startTime: move.timeStamp }));
  }, { capture: true });

  const send = window.fetch;
  window.fetch = async (...request) => {
    const known = moves.length;
    const sent = performance.now();
    const response = await send(...request);
    const read = response.json.bind(response);
    response.json = async () => {
      const answer = await read();
      requests.push([performance.now() - sent, answer.elapsed_ms]);
      // The page renders in microtasks, before the next frame. An answer that looks like the one before counts, too.
      requestAnimationFrame(() => afterPaint.port2.postMessage(known));
      return answer;
    };
    return response;
  };

  const afterPaint = new MessageChannel();
  afterPaint.port1.onmessage = ({ data: known }) => {
    for (const { startTime } of moves.slice(painted, known)) performance.measure("answered", { start: startTime });
    painted = Math.max(painted, known);
  };

  window.unanswered = () => moves.length - painted;
  window.requestTimes = () => requests;
  window.takeLatencies = () => {
    const latencies = performance.getEntriesByName("answered").map(({ duration }) => duration);
    performance.clearMeasures();
    performance.clearMarks();
    moves.length = painted = 0;
    return latencies;
  };
})();
"""


def main() -> int:
    """Run the benchmark and write its report; returns the exit status."""
    parser = options(__doc__, "live_page")
    parser.add_argument("--drawings", type=int, default=DRAWINGS, help="of each digit")
    chosen = parser.parse_args()
    path = find_chromium()
    if path is None:
        parser.error(MISSING)
    with (
        tempfile.TemporaryDirectory() as folder,
        start_gunicorn(Path(folder) / "log", workers=1) as server,
        sync_playwright() as playwright,
        launch(playwright, path) as browser,
    ):
        report = to_report(*measure(browser, f"{server.url}/", chosen.drawings), browser.version)
    return report.publish(chosen.output)


def measure(browser: Browser, url: str, drawings: int) -> tuple[dict[int, list[list[float]]], list[list[float]]]:
    """For each digit and drawing, the latency of each move; for each request, its time and the recognizer's. In ms."""
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        page.add_init_script(RECORDER)
        page.goto(url)
        draw_and_take(page, HANDWRITINGS[8][0])  # warm-up
        latencies = {
            digit: [draw_and_take(page, handwritings[n % len(handwritings)]) for n in range(drawings)]
            for digit, handwritings in HANDWRITINGS.items()
        }
        return latencies, page.evaluate("requestTimes()")


def draw_and_take(page: Page, drawing: Drawing) -> list[float]:
    """Draw on the empty canvas in real time; returns the latency of each move in ms."""
    for stroke in drawing:
        places = [place(page, x, y) for x, y in stroke]
        page.mouse.move(*places[0])
        page.mouse.down()
        due = time.perf_counter()
        for x, y in places[1:]:
            due = max(due + POINT_SECONDS, time.perf_counter())
            time.sleep(max(0.0, due - time.perf_counter()))
            page.mouse.move(x, y)
        page.mouse.up()
    wait_until(page, "unanswered() === 0")
    latencies: list[float] = page.evaluate("takeLatencies()")
    page.locator("#clear").click()
    expect(page.locator("#answer")).to_have_attribute("data-state", "empty")
    return latencies


def to_report(latencies: dict[int, list[list[float]]], requests: list[list[float]], chromium: str) -> Report:
    """Figures and aims."""
    moves = list(chain.from_iterable(chain.from_iterable(latencies.values())))
    last = [drawing[-1] for drawings in latencies.values() for drawing in drawings]
    rows = [("all moves", moves), ("the last move of each drawing", last)]
    rows += [(f"moves of a {digit}", list(chain.from_iterable(drawings))) for digit, drawings in latencies.items()]
    report = Report("Live page")
    report.say(
        f"`python -m benchmarks.live_page`: {len(last)} drawings at 125 points per second, in Chromium {chromium} "
        "without a window, with one gunicorn worker on the same machine."
    )
    whole, own = (np.median(times) for times in zip(*requests, strict=True))
    report.say(
        f"A request takes {whole:.1f} ms (median), {own:.1f} ms of them in the recognizer; the rest is Flask, HTTP and "
        "Chromium's processes, which share the cores. A move waits for the end of the request before, half of one on "
        "average, then for its own, and at last for a frame, 8 ms on average at 60 Hz, and its painting."
    )
    head = ("from the pointer event to the painted prediction", "n", "median ms", "p95 ms")
    report.table(
        head, [(name, f"{len(some):,}", *(f"{np.percentile(some, p):.1f}" for p in (50, 95))) for name, some in rows]
    )
    for name, share, aim in (("median", 50, MEDIAN_AIM), ("95th percentile", 95, P95_AIM)):
        found = float(np.percentile(moves, share))
        report.aim(found <= aim, f"The {name} is at most {aim:g} ms", f"{found:.1f} ms")
    return report


if __name__ == "__main__":
    sys.exit(main())
