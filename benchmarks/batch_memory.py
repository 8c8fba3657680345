"""The memory of `predict.py` while it reads a folder of very many pictures: it must not grow.

    python -m benchmarks.batch_memory                   # 200,000 pictures, hard links to a few
    python -m benchmarks.batch_memory --pictures 5000

Memory is that of `predict.py` and its workers, with shared pages counted once (PSS). Linux only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.batch import make_pictures
from benchmarks.load.report import RESULTS, Report, growth
from config import ROOT
from testing.processes import family, look_at

MAX_GROWTH = 5.0  # MB in 100,000 pictures
SHAPES = 100  # different pictures; all others are links to them
WARM_UP = 0.1  # of the time
PAUSE = 0.5  # seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, report; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=RESULTS / "batch_memory.md")
    chosen = parser.parse_args(arguments)
    memory_folder = Path("/dev/shm")  # so that the disk is not measured
    with tempfile.TemporaryDirectory(dir=memory_folder if memory_folder.is_dir() else None) as name:
        folder = Path(name)
        link_pictures(folder, chosen.pictures)
        samples, seconds = sample_memory(folder, chosen.workers)
        rows = sum(1 for _ in (folder / "results.csv").open()) - 1
    return to_report(samples, seconds, rows, chosen.pictures, chosen.workers).publish(chosen.output)


def link_pictures(folder: Path, count: int) -> None:
    """`count` hard links in `scans/`, a thousand per folder, to a few pictures."""
    pictures = make_pictures(folder / "shapes", min(SHAPES, count))
    for number in range(count):
        place = folder / "scans" / f"{number // 1000:05}"
        if number % 1000 == 0:
            place.mkdir(parents=True)
        os.link(pictures[number % len(pictures)], place / f"{number:07}.png")


def sample_memory(folder: Path, workers: int) -> tuple[list[tuple[float, float]], float]:
    """Samples of seconds since the start and MB while the folder is read; and the total time."""
    command = [sys.executable, "predict.py", str(folder / "scans"), "--output", str(folder / "results.csv")]
    samples: list[tuple[float, float]] = []
    started = time.perf_counter()
    with subprocess.Popen([*command, "--workers", str(workers)], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            time.sleep(PAUSE)
            try:
                held = sum(look_at(pid).pss for pid in family(process.pid))
            except (OSError, KeyError):  # the process, or a worker, has just exited
                continue
            samples.append((time.perf_counter() - started, held))
    if process.returncode != 0:
        raise RuntimeError(f"predict.py ended with status {process.returncode}")
    return samples, time.perf_counter() - started


def to_report(samples: Sequence[tuple[float, float]], seconds: float, rows: int, pictures: int, workers: int) -> Report:
    """The report, with its bounds."""
    report = Report("Memory of a batch")
    report.say(
        f"`python -m benchmarks.batch_memory`: {pictures:,} PNG files of 100x100 pixels, {workers} workers, read in "
        f"{seconds:,.0f} s. The memory of the program and its workers was sampled {len(samples)} times."
    )
    report.require(rows == pictures, "Every picture has its row", f"{rows:,}")
    steady = [sample for sample in samples if WARM_UP * seconds < sample[0] < (1 - WARM_UP / 2) * seconds]
    # Progress is not known, but it is steady.
    read = [pictures * at / seconds for at, _ in steady]
    held = [megabytes for _, megabytes in steady]
    slope, error = growth(read, held)
    report.require(
        slope <= MAX_GROWTH,
        f"Memory grows by at most {MAX_GROWTH:g} MB in 100,000 pictures",
        f"{slope:+.2f} MB, with a standard error of {error:.2f}",
    )
    parts = [held[i * len(held) // 5 : (i + 1) * len(held) // 5] for i in range(5)]
    report.table(
        ("fifth of the time", "MB PSS lowest", "highest"),
        [(str(number), f"{min(part):.0f}", f"{max(part):.0f}") for number, part in enumerate(parts, 1)],
    )
    return report


if __name__ == "__main__":
    sys.exit(main())
