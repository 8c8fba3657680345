"""Check answers, memory, file descriptors and threads over many requests.

    python -m benchmarks.load.soak                      # 200,000 requests, 30 % of them hostile
    python -m benchmarks.load.soak --requests 5000

Workers are not recycled here, so that a leak shows.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.load.generator import Request
from benchmarks.load.hostile_requests import hostile
from benchmarks.load.report import TIMES_HEAD, Report, growth, options, times_by_name
from benchmarks.load.rounds import Course, drive_in_rounds, require_right_answers
from benchmarks.load.traffic import everyday
from config import Settings
from testing.servers import NO_RECYCLING, start_gunicorn

MAX_GROWTH = 1.0  # MB in 100,000 requests
WARM_UP = 0.1  # share of the rounds in which caches and memory pools fill
MIN_ROUNDS = 10  # with fewer, the slope is noise


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the proof and write its report; the exit status."""
    parser = options(__doc__, "soak")
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--hostile", type=float, default=0.3, help="share of hostile requests, 0 to 1")
    parser.add_argument("--round", type=int, default=2000, help="requests between two measurements of the workers")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    requests = mixed(chosen.hostile, chosen.seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        start_gunicorn(Path(folder) / "log", arguments=NO_RECYCLING) as server,
    ):
        course = drive_in_rounds(server, requests, chosen.requests, chosen.round, chosen.clients)
    return to_report(course, chosen.hostile).publish(chosen.output)


def mixed(hostile_share: float, seed: int) -> Iterator[Request]:
    """Endless requests, `hostile_share` of them hostile."""
    rng = random.Random(seed)
    good, bad = everyday(seed), hostile(Settings.load().limits, seed)
    while True:
        yield next(bad) if rng.random() < hostile_share else next(good)


def to_report(course: Course, hostile_share: float) -> Report:
    """Figures and bounds."""
    report = Report("Soak")
    report.say(
        f"`python -m benchmarks.load.soak`: {len(course.outcomes):,} requests, {hostile_share:.0%} of them hostile, in "
        f"{len(course.requests)} rounds. The workers are measured after each, when idle."
    )
    require_right_answers(report, course)
    start = int(WARM_UP * len(course.requests)) + 1
    if len(course.requests) - start >= MIN_ROUNDS and course.deaths == 0:
        require_steadiness(report, course, start)
    report.table(TIMES_HEAD, times_by_name(course.outcomes))
    return report


def require_steadiness(report: Report, course: Course, start: int) -> None:
    """Require that memory, descriptors and threads do not grow from round `start` on."""
    report.table(
        ("worker", "MB first", "last", "highest", "MB in 100,000 requests", "PSS MB last", "descriptors", "threads"),
        (_worker_row(course, number, pid, start) for number, pid in enumerate(course.workers, 1)),
    )
    total = [sum(course.series(pid, "anonymous")[i] for pid in course.workers) for i in range(len(course.requests))]
    slope, error = growth(course.requests[start:], total[start:])
    report.say(
        "MB are anonymous memory. Python and the C library keep a varying few MB of freed memory, so it takes many "
        "rounds to tell growth from noise."
    )
    report.require(
        slope <= MAX_GROWTH,
        f"Memory of all workers together grows by at most {MAX_GROWTH:g} MB in 100,000 requests",
        f"{slope:+.2f} MB, with a standard error of {error:.2f}",
    )
    for what in ("descriptors", "threads"):
        changed = max(max(some[start:]) - some[start] for some in (course.series(pid, what) for pid in course.workers))
        report.require(changed <= 1, f"Number of {what} stays", f"{changed:+.0f} at most")


def _worker_row(course: Course, number: int, pid: int, start: int) -> tuple[object, ...]:
    held = course.series(pid, "anonymous")[start:]
    slope, error = growth(course.requests[start:], held)
    counts = (course.series(pid, what)[start:] for what in ("descriptors", "threads"))
    return (
        number,
        *(f"{value:.1f}" for value in (held[0], held[-1], max(held))),
        f"{slope:+.2f} ± {error:.2f}",
        f"{course.series(pid, 'pss')[-1]:.1f}",
        *(f"{min(some):.0f} to {max(some):.0f}" for some in counts),
    )


if __name__ == "__main__":
    sys.exit(main())
