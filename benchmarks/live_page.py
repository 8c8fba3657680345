"""The time from a move of the pen to the painted answer that includes it, in Chromium, over loopback.

    python -m benchmarks.live_page                  # 200 drawings, writes benchmarks/results/live_page.md

Each digit is drawn 20 times, in the handwritings of `testing`, at 125 points per second like a mouse, on the page of
gunicorn. A move is timed from when the browser received it to the end of the first frame that shows an answer to a
drawing with that move in it. Needs Chromium and Linux.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import torch
from playwright.sync_api import Browser, Page, expect, sync_playwright

from config import ROOT
from storage import write_atomically
from testing.chromium import MISSING, find_chromium, launch
from testing.handwriting import HANDWRITINGS, Drawing
from testing.pad import place, wait_until
from testing.servers import start_gunicorn

DRAWINGS = 20  # of each digit
POINT_SECONDS = 1 / 125
MEDIAN_AIM, P95_AIM = 16.7, 50.0  # ms

# Marks each move when the browser receives it, and measures up to the frame that shows its answer.
RECORDER = """
(() => {
  const moves = [];
  let arrived = 0; // moves that the newest answer knows of
  let painted = 0;
  const kind = "onpointerrawupdate" in window ? "pointerrawupdate" : "pointermove";
  addEventListener(kind, (event) => {
    if (event.buttons !== 1) return;
    for (const move of event.getCoalescedEvents()) moves.push(performance.mark("move", { startTime: move.timeStamp }));
  }, { capture: true });

  const ask = window.fetch;
  window.fetch = async (...question) => {
    const known = moves.length;
    const response = await ask(...question);
    const read = response.json.bind(response);
    response.json = async () => {
      const answer = await read();
      arrived = known;
      return answer;
    };
    return response;
  };

  const afterPaint = new MessageChannel();
  afterPaint.port1.onmessage = ({ data: known }) => {
    for (const { startTime } of moves.slice(painted, known)) performance.measure("answered", { start: startTime });
    painted = Math.max(painted, known);
  };
  addEventListener("DOMContentLoaded", () => {
    new MutationObserver(() => {
      const known = arrived;
      if (known > painted) requestAnimationFrame(() => afterPaint.port2.postMessage(known));
    }).observe(document.getElementById("answer"), { subtree: true, childList: true, attributes: true });
  });

  window.unanswered = () => moves.length - painted;
  window.takeLatencies = () => {
    const latencies = performance.getEntriesByName("answered").map(({ duration }) => duration);
    performance.clearMeasures();
    performance.clearMarks();
    moves.length = arrived = painted = 0;
    return latencies;
  };
})();
"""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drawings", type=int, default=DRAWINGS, help="of each digit")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "live_page.md")
    options = parser.parse_args()
    path = find_chromium()
    if path is None:
        parser.error(MISSING)
    with (
        tempfile.TemporaryDirectory() as folder,
        start_gunicorn(Path(folder) / "log", workers=1) as server,
        sync_playwright() as playwright,
        launch(playwright, path) as browser,
    ):
        host, port = server.address
        latencies = measure(browser, f"http://{host}:{port}/", options.drawings)
        report = to_markdown(latencies, browser.version)
    print(report)
    write_atomically(options.output, report.encode())


def measure(browser: Browser, url: str, drawings: int) -> dict[int, list[list[float]]]:
    """For each digit and drawing, the latency of each move in ms."""
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        page.add_init_script(RECORDER)
        page.goto(url)
        draw_and_take(page, HANDWRITINGS[8][0])  # the first questions warm the caches of both sides
        return {
            digit: [draw_and_take(page, handwritings[n % len(handwritings)]) for n in range(drawings)]
            for digit, handwritings in HANDWRITINGS.items()
        }


def draw_and_take(page: Page, drawing: Drawing) -> list[float]:
    """Draw on an empty pad at the speed of a hand; returns the latency of each move in ms."""
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


def to_markdown(latencies: dict[int, list[list[float]]], chromium: str) -> str:
    """The report."""
    moves = list(chain.from_iterable(chain.from_iterable(latencies.values())))
    last = [drawing[-1] for drawings in latencies.values() for drawing in drawings]
    count = sum(map(len, latencies.values()))
    rows = [("all moves", moves), ("the last move of each drawing", last)]
    rows += [(f"moves of a {digit}", list(chain.from_iterable(drawings))) for digit, drawings in latencies.items()]
    table = "".join(
        f"| {name} | {len(values):,} | {statistics.median(values):.1f} | {percentile(values, 95):.1f} |\n"
        for name, values in rows
    )
    median, p95 = statistics.median(moves), percentile(moves, 95)
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    return (
        f"# The live page\n\n`python -m benchmarks.live_page`, {count} drawings, {len(latencies)} digits, 125 points a "
        f"second, in milliseconds.\n\n"
        f"| from the pen's move to the painted answer | n | median | p95 |\n| --- | ---: | ---: | ---: |\n{table}\n"
        f"The aim is a median of {MEDIAN_AIM} ms, one frame of a screen of 60 Hz: {verdict(median, MEDIAN_AIM)}. "
        f"The aim for the 95th percentile is {P95_AIM:.0f} ms: {verdict(p95, P95_AIM)}.\n\n"
        f"Chromium {chromium} without a window and gunicorn with one worker on the same machine: {platform.machine()}, "
        f"{cores} cores, Python {platform.python_version()}, torch {torch.__version__}, load average at the end "
        f"{load:.1f}{': other work ran at the same time' if load > cores + 0.5 else ''}.\n"
    )


def percentile(values: Sequence[float], share: int) -> float:
    """The percentile, by the nearest-rank method."""
    return sorted(values)[max(0, -(-len(values) * share // 100) - 1)]


def verdict(found: float, aim: float) -> str:
    """Whether an aim was reached."""
    return "reached" if found <= aim else "missed"


if __name__ == "__main__":
    main()
