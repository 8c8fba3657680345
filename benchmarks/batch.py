"""The throughput of a batch in pictures per second, compared with that of its steps alone.

    python -m benchmarks.batch                  # 2,000 pictures, writes benchmarks/results/batch.md
    python -m benchmarks.batch --pictures 20000 --workers 2

Decoding, normalisation and the forward pass are timed one by one, in this process on one thread; then `predict.py` runs
as a process. The steps' limit is one core's rate times the number of cores. The start of `predict.py` is compared with
`import torch`. On a busy machine wall-clock rates fall, and those by processor time do not.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from batch.local import read_parallel
from config import ROOT, Settings
from recognition import Recognizer
from recognition.normalize import find_candidates
from recognition.picture import decode_picture
from storage import write_atomically
from testing.handwriting import HANDWRITINGS
from testing.pictures import draw_picture, encode

CHUNK = 64
STARTS = 5  # of each program; the median counts
REQUIRED = 1500  # pictures per second


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "batch.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        paths = make_pictures(Path(folder) / "scans", options.pictures)
        rates = measure_steps(paths) | measure_batch(paths, Path(folder), options.workers)
    report = to_markdown(rates, measure_start(), options.pictures, options.workers)
    print(report)
    options.output.parent.mkdir(exist_ok=True)
    write_atomically(options.output, report.encode())


def make_pictures(folder: Path, count: int) -> list[str]:
    """Small PNG files of every handwriting, 100x100 pixels, each slightly shifted."""
    folder.mkdir()
    drawings = [drawing for drawings in HANDWRITINGS.values() for drawing in drawings]
    random = np.random.default_rng(0)
    for number in range(count):
        shift = random.integers(-30, 30, 2)
        moved = [[[x + int(shift[0]), y + int(shift[1])] for x, y in s] for s in drawings[number % len(drawings)]]
        (folder / f"{number:07}.png").write_bytes(encode(draw_picture(moved).resize((100, 100))))
    return [str(path) for path in sorted(folder.iterdir())]


def measure_steps(paths: Sequence[str]) -> dict[str, float]:
    """Pictures per second of each step alone, on one core."""
    settings = Settings.load()
    recognizer = Recognizer.load(settings.model_path, settings.limits)
    some = paths[: min(1000, len(paths))]
    files = [Path(path).read_bytes() for path in some]
    pictures = [decode_picture(data, settings.limits) for data in files]
    preprocessed = [find_candidates(picture) for picture in pictures]
    recognizer.predict_candidates(preprocessed[:CHUNK])

    def forward() -> None:
        for start in range(0, len(preprocessed), CHUNK):
            recognizer.predict_candidates(preprocessed[start : start + CHUNK])

    steps: dict[str, Callable[[], object]] = {
        "decode": lambda: [decode_picture(data, settings.limits) for data in files],
        "normalise": lambda: [find_candidates(picture) for picture in pictures],
        "forward": forward,
    }
    rates = {}
    for name, step in steps.items():
        before = time.process_time()
        rates[name] = rate(len(some), step)
        rates[f"{name} by processor"] = len(some) / (time.process_time() - before)
    return rates


def measure_batch(paths: Sequence[str], folder: Path, workers: int) -> dict[str, float]:
    """Pictures per second of the engine after its start, and of the whole program with its start."""
    settings = Settings.load()
    recognizer = Recognizer.load(settings.model_path, settings.limits)
    first: list[float] = []

    def run_engine() -> Iterator[int]:
        for rows in read_parallel(paths, recognizer, workers):
            first.append(time.perf_counter())
            yield len(rows)

    counted = sum(run_engine())
    command = [sys.executable, "predict.py", str(folder / "scans"), "--output", str(folder / "r.parquet")]
    program = rate(
        len(paths),
        lambda: subprocess.run([*command, "--workers", str(workers)], cwd=ROOT, check=True, capture_output=True),
    )
    # The first chunk includes the start of the workers.
    return {"engine": (counted - CHUNK) / (first[-1] - first[0]), "program": program}


def measure_start() -> tuple[float, float]:
    """Time of `predict.py` on one picture, as a multiple of `import torch`: wall-clock, processor."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "one.png"
        picture.write_bytes(encode(draw_picture(HANDWRITINGS[1][0])))
        commands = ([sys.executable, "predict.py", str(picture)], [sys.executable, "-c", "import torch"])
        runs: list[list[tuple[float, float]]] = [[], []]
        for _ in range(STARTS):
            for command, taken in zip(commands, runs, strict=True):
                taken.append(time_process(command))
    (wall, processor), (bare_wall, bare_processor) = (
        [statistics.median(values) for values in zip(*taken, strict=True)] for taken in runs
    )
    return wall / bare_wall, processor / bare_processor


def time_process(command: Sequence[str]) -> tuple[float, float]:
    """Seconds that a process takes: wall-clock, and processor time."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, processor


def rate(count: int, action: Callable[[], object]) -> float:
    """Pictures per second."""
    started = time.perf_counter()
    action()
    return count / (time.perf_counter() - started)


def to_markdown(rates: dict[str, float], start: tuple[float, float], count: int, workers: int) -> str:
    """The report."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = cores / sum(1 / rates[step] for step in ("decode", "normalise", "forward"))
    goal = min(REQUIRED, 0.8 * allowed)
    which = f"{REQUIRED:,} pictures per second" if goal == REQUIRED else "80 % of the steps' limit"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    rows = [
        (f"{step} alone, one core", rates[step], rates[f"{step} by processor"])
        for step in ("decode", "normalise", "forward")
    ]
    by_processor = cores / sum(1 / row[2] for row in rows)
    rows += [(f"limit: all three, on {cores} cores", allowed, by_processor)]
    table = "".join(f"| {name} | {clock:,.0f} | {processor:,.0f} |\n" for name, clock, processor in rows)
    table += f"| the engine, {workers} workers, without its start | {rates['engine']:,.0f} | |\n"
    table += f"| `predict.py --output results.parquet`, with its start | {rates['program']:,.0f} | |\n"
    verdict = "reached" if rates["engine"] >= goal else "missed"
    return (
        f"# Batches\n\n`python -m benchmarks.batch`, {count:,} PNG files of 100x100 pixels.\n\n"
        f"| | pictures per second | by processor time |\n| --- | ---: | ---: |\n{table}\n"
        f"The goal, the lesser of two, is {which}: {goal:,.0f}. The engine {verdict} it, "
        f"with {rates['engine'] / allowed:.0%} of the steps' limit.\n\n"
        f"From the command to the prediction for one picture: {start[0]:.2f} times `import torch` by wall-clock, "
        f"{start[1]:.2f} times by processor time (medians of {STARTS}, alternating).\n\n"
        f"{platform.machine()}, {cores} cores, Python {platform.python_version()}, torch {torch.__version__}, "
        f"OpenCV {cv2.__version__}, load average at the end {load:.1f}"
        f"{': other work ran at the same time' if load > workers + 1.5 else ''}.\n"
    )


if __name__ == "__main__":
    main()
