"""Measure the throughput of batches, compared with that of their steps alone.

    python -m benchmarks.batch                  # 2,000 pictures
    python -m benchmarks.batch --pictures 20000 --workers 2

The processor time of decoding, normalization and the forward pass, measured separately, is the limit for `predict.py`.
"""

from __future__ import annotations

import os
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
from benchmarks.report import Report, options
from config import ROOT, Settings
from recognition import Recognizer
from recognition.normalize import find_candidates
from recognition.picture import decode_picture
from testing.handwriting import HANDWRITINGS
from testing.pictures import draw_picture, encode

CHUNK = 64
REQUIRED = 1500  # pictures per second


def main() -> int:
    """Run the benchmark and write its report; returns the exit status."""
    parser = options(__doc__, "batch")
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        paths = make_pictures(Path(folder) / "scans", chosen.pictures)
        rates = measure_steps(paths) | measure_batch(paths, Path(folder), chosen.workers)
    return to_report(rates, chosen.pictures, chosen.workers).publish(chosen.output)


def make_pictures(folder: Path, count: int) -> list[str]:
    """Small PNG files of every handwriting, 100x100 pixels, each slightly shifted."""
    folder.mkdir()
    drawings = [drawing for drawings in HANDWRITINGS.values() for drawing in drawings]
    rng = np.random.default_rng(0)
    for number in range(count):
        shift = rng.integers(-30, 30, 2)
        moved = [[[x + int(shift[0]), y + int(shift[1])] for x, y in s] for s in drawings[number % len(drawings)]]
        (folder / f"{number:07}.png").write_bytes(encode(draw_picture(moved).resize((100, 100))))
    return [str(path) for path in sorted(folder.iterdir())]


def measure_steps(paths: Sequence[str]) -> dict[str, float]:
    """Pictures per second of processor time for each step alone."""
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
        "normalize": lambda: [find_candidates(picture) for picture in pictures],
        "forward": forward,
    }
    return {name: rate(len(some), step, time.process_time) for name, step in steps.items()}


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


def rate(count: int, action: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Pictures per second."""
    started = clock()
    action()
    return count / (clock() - started)


def to_report(rates: dict[str, float], count: int, workers: int) -> Report:
    """Figures and aims."""
    cores, steps = len(os.sched_getaffinity(0)), ("decode", "normalize", "forward")
    limit = cores / sum(1 / rates[step] for step in steps)
    report = Report("Batches")
    report.say(f"`python -m benchmarks.batch`: {count:,} PNG files of 100x100 pixels, {workers} workers.")
    rows = [(f"{step} alone, one core", rates[step]) for step in steps]
    rows += [(f"limit: all three, on {cores} cores", limit), ("workers, after their start", rates["engine"])]
    rows += [("`predict.py --output results.parquet`", rates["program"])]
    report.table(("", "pictures/s"), [(name, f"{found:,.0f}") for name, found in rows])
    goal = min(REQUIRED, 0.8 * limit)
    report.aim(
        rates["engine"] >= goal,
        f"The workers read {REQUIRED:,} pictures per second, or 80 % of the limit where that is less",
        f"{rates['engine']:,.0f}",
    )
    return report


if __name__ == "__main__":
    sys.exit(main())
