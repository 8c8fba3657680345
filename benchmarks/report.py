"""Benchmark reports in Markdown, printed and written to benchmarks/results/ with the machine and versions."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.load.generator import Outcome
from config import ROOT
from storage import write_atomically

RESULTS = ROOT / "benchmarks" / "results"
MAX_FAULTS_SHOWN = 10
PACKAGES = ("onnxruntime", "torch", "flask", "gunicorn", "pillow", "opencv-python-headless")


@dataclass
class Report:
    """The report of one benchmark in Markdown, and the requirements that were not met."""

    title: str
    paragraphs: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Add a paragraph."""
        self.paragraphs.append(text)

    def table(self, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Add a table; all columns but the first are right-aligned."""
        rule = ["---"] + ["---:"] * (len(head) - 1)
        lines = [head, rule, *([str(cell) for cell in row] for row in rows)]
        self.say("\n".join(f"| {' | '.join(line)} |" for line in lines))

    def require(self, holds: bool, bound: str, found: str) -> None:
        """Add a bound that only a fault of the server can break; a broken bound makes the benchmark fail."""
        self.say(f"{bound}: {found}. {'Held' if holds else '**Broken**'}.")
        if not holds:
            self.broken.append(f"{bound}: {found}")

    def aim(self, holds: bool, bound: str, found: str) -> None:
        """Add a bound on speed, which a busy machine may miss without a fault of the server."""
        self.say(f"{bound}: {found}. {'Reached' if holds else 'Missed'}.")

    def publish(self, path: Path) -> int:
        """Print the report, write it to `path`, and return the exit status: 1 if a bound was broken."""
        text = "\n\n".join([f"# {self.title}", *self.paragraphs, machine()]) + "\n"
        print(text)
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, text.encode())
        for bound in self.broken:
            print(f"broken: {bound}", file=sys.stderr)
        return 1 if self.broken else 0


def options(description: str | None, name: str) -> argparse.ArgumentParser:
    """Command-line options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=RESULTS / f"{name}.md", help="file for the report")
    return parser


def machine() -> str:
    """One line about the machine and versions."""
    cores = len(os.sched_getaffinity(0))
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = os.getloadavg()[0]
    return (
        f"{platform.machine()}, {cores} cores, Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}, {packages}; load average at the end {load:.1f}, including the benchmark."
    )


def percentile(seconds: Sequence[float], share: float) -> float:
    """Percentile of the latency in milliseconds; `share` is 0 to 100."""
    return 1000 * float(np.percentile(seconds, share)) if seconds else float("nan")


def times_by_name(outcomes: Iterable[Outcome]) -> list[tuple[object, ...]]:
    """Rows for a table: name, number, statuses, and latencies p50, p99 and maximum in milliseconds."""
    by_name: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_name.setdefault(outcome.name, []).append(outcome)
    return [
        (
            name,
            f"{len(some):,}",
            ", ".join(f"{status or 'none'}: {count:,}" for status, count in statuses(some).items()),
            *(f"{percentile([one.seconds for one in some], share):.1f}" for share in (50, 99, 100)),
        )
        for name, some in sorted(by_name.items())
    ]


TIMES_HEAD = ("requests", "number", "by status", "p50 ms", "p99 ms", "slowest ms")


def statuses(outcomes: Iterable[Outcome]) -> dict[int, int]:
    """Number of responses by status; 0 means no response."""
    return dict(sorted(Counter(outcome.status for outcome in outcomes).items()))


def faults(outcomes: Iterable[Outcome]) -> str:
    """The most frequent faults, as text."""
    found = Counter(f"{o.name}: {o.status or 'no answer'}, {o.fault}" for o in outcomes if o.fault is not None)
    shown = [f"{count} x {fault}" for fault, count in found.most_common(MAX_FAULTS_SHOWN)]
    return "; ".join(shown) or "none"


def growth(requests: Sequence[float], megabytes: Sequence[float]) -> tuple[float, float]:
    """Growth of memory in MB per 100,000 requests, fitted by least squares, and its standard error."""
    x, y = np.asarray(requests, dtype=float), np.asarray(megabytes, dtype=float)
    x = x - x.mean()
    slope = float(x @ y / (x @ x))
    residuals = y - y.mean() - slope * x
    error = float(np.sqrt(residuals @ residuals / (len(x) - 2) / (x @ x)))
    return 1e5 * slope, 1e5 * error
