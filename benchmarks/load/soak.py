"""Check answers, memory, file descriptors and threads over many requests.

    python -m benchmarks.load.soak                      # 200,000 requests, 30 % of them hostile
    python -m benchmarks.load.soak --requests 5000

Workers are not recycled here, so that a leak shows.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from benchmarks.load.generator import Load, Outcome, Request
from benchmarks.load.hostile_requests import hostile
from benchmarks.load.traffic import everyday
from benchmarks.report import TIMES_HEAD, Report, faults, growth, options, statuses, times_by_name
from config import Settings
from testing.processes import ResourceUsage, is_idle, resource_usage
from testing.servers import NO_RECYCLING, Server, start_gunicorn

MAX_GROWTH = 1.0  # MB in 100,000 requests
WARM_UP = 0.1  # share of the rounds in which caches and memory pools fill
MIN_ROUNDS = 10  # with fewer, the slope is noise
IDLE_LOOKS, IDLE_SECONDS = 5, 30.0
TIMEOUT = 120.0  # seconds


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
    rounds = run_in_rounds(requests, chosen.requests, chosen.round, chosen.clients)
    return to_report(rounds, chosen.hostile).publish(chosen.output)


def mixed(hostile_share: float, seed: int) -> Iterator[Request]:
    """Endless requests, `hostile_share` of them hostile."""
    rng = random.Random(seed)
    good, bad = everyday(seed), hostile(Settings.load().limits, seed)
    while True:
        yield next(bad) if rng.random() < hostile_share else next(good)


def to_report(rounds: Rounds, hostile_share: float) -> Report:
    """Figures and bounds."""
    report = Report("Soak")
    report.say(
        f"`python -m benchmarks.load.soak`: {len(rounds.outcomes):,} requests, {hostile_share:.0%} of them hostile, in "
        f"{len(rounds.requests)} rounds. The workers are measured after each, when idle."
    )
    require_right_answers(report, rounds)
    start = int(WARM_UP * len(rounds.requests)) + 1
    if len(rounds.requests) - start >= MIN_ROUNDS and rounds.deaths == 0:
        require_steadiness(report, rounds, start)
    report.table(TIMES_HEAD, times_by_name(rounds.outcomes))
    return report


@dataclass(slots=True)
class Rounds:
    """Results of all rounds so far."""

    outcomes: list[Outcome] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)  # made by the end of each round
    usage: list[dict[int, ResourceUsage]] = field(default_factory=list)  # by worker, at the end of each round

    @property
    def workers(self) -> list[int]:
        """The workers that were alive in all rounds."""
        return [pid for pid in self.usage[0] if all(pid in usage for usage in self.usage)]

    @property
    def deaths(self) -> int:
        """Number of workers that ended after the first round."""
        return len(self.usage[0]) - len(self.workers)

    def series(self, pid: int, what: str) -> list[float]:
        """One figure of a worker, `pss`, `anonymous`, `descriptors` or `threads`, at the end of each round."""
        return [float(getattr(usage[pid], what)) for usage in self.usage]


def run_in_rounds(requests: Iterator[Request], count: int, size: int, clients: int) -> Rounds:
    """Make `count` of the requests to a server whose workers are not recycled, in rounds of `size`."""
    rounds = Rounds()
    with (
        tempfile.TemporaryDirectory() as folder,
        start_gunicorn(Path(folder) / "log", arguments=NO_RECYCLING) as server,
    ):
        while len(rounds.outcomes) < count:
            # Created before the round, because creating a hostile picture takes longer than answering it.
            some = list(islice(requests, min(size, count - len(rounds.outcomes))))
            rounds.outcomes += Load(server.address, iter(some), clients=clients, timeout=TIMEOUT).run()
            rounds.requests.append(len(rounds.outcomes))
            wait_until_idle(server)
            rounds.usage.append({pid: resource_usage(pid) for pid in server.workers()})
            print(f"\r{len(rounds.outcomes):,} of {count:,}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return rounds


def wait_until_idle(server: Server) -> None:
    """Return when all threads of the workers sleep."""
    looks, deadline = 0, time.perf_counter() + IDLE_SECONDS
    while looks < IDLE_LOOKS and time.perf_counter() < deadline:
        looks = looks + 1 if all(is_idle(pid) for pid in server.workers()) else 0
        time.sleep(0.02)


def require_right_answers(report: Report, rounds: Rounds) -> None:
    """Require that every answer is right, none is a 5xx, and no worker died."""
    count = sum(number for status, number in statuses(rounds.outcomes).items() if status >= 500)
    report.require(count == 0, "No answer is a 5xx", str(count))
    wrong = [outcome for outcome in rounds.outcomes if outcome.fault is not None]
    report.require(
        not wrong, "Every answer is right", f"{len(wrong)} are not ({faults(wrong)})" if wrong else "all are"
    )
    report.require(rounds.deaths == 0, "No worker dies", f"{rounds.deaths} died")


def require_steadiness(report: Report, rounds: Rounds, start: int) -> None:
    """Require that memory, descriptors and threads do not grow from round `start` on."""
    report.table(
        ("worker", "MB first", "last", "highest", "MB in 100,000 requests", "PSS MB last", "descriptors", "threads"),
        (_worker_row(rounds, number, pid, start) for number, pid in enumerate(rounds.workers, 1)),
    )
    total = [sum(rounds.series(pid, "anonymous")[i] for pid in rounds.workers) for i in range(len(rounds.requests))]
    slope, error = growth(rounds.requests[start:], total[start:])
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
        changed = max(max(some[start:]) - some[start] for some in (rounds.series(pid, what) for pid in rounds.workers))
        report.require(changed <= 1, f"Number of {what} stays", f"{changed:+.0f} at most")


def _worker_row(rounds: Rounds, number: int, pid: int, start: int) -> tuple[object, ...]:
    held = rounds.series(pid, "anonymous")[start:]
    slope, error = growth(rounds.requests[start:], held)
    counts = (rounds.series(pid, what)[start:] for what in ("descriptors", "threads"))
    return (
        number,
        *(f"{value:.1f}" for value in (held[0], held[-1], max(held))),
        f"{slope:+.2f} ± {error:.2f}",
        f"{rounds.series(pid, 'pss')[-1]:.1f}",
        *(f"{min(some):.0f} to {max(some):.0f}" for some in counts),
    )


if __name__ == "__main__":
    sys.exit(main())
