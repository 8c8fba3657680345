"""Requests in rounds; between two rounds the workers are idle and are measured."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from benchmarks.load.generator import Load, Outcome, Request
from benchmarks.load.report import Report, faults, statuses
from testing.processes import Holding, is_idle, look_at
from testing.servers import Server

IDLE_LOOKS, IDLE_SECONDS = 5, 30.0
TIMEOUT = 120.0  # seconds


@dataclass(slots=True)
class Course:
    """Results of all rounds so far."""

    outcomes: list[Outcome] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)  # made by the end of each round
    holdings: list[dict[int, Holding]] = field(default_factory=list)  # by worker, at the end of each round

    @property
    def workers(self) -> list[int]:
        """The workers that were alive in all rounds."""
        return [pid for pid in self.holdings[0] if all(pid in holding for holding in self.holdings)]

    @property
    def deaths(self) -> int:
        """Number of workers that ended after the first round."""
        return len(self.holdings[0]) - len(self.workers)

    def series(self, pid: int, what: str) -> list[float]:
        """One figure of a worker, `pss`, `anonymous`, `descriptors` or `threads`, at the end of each round."""
        return [float(getattr(holding[pid], what)) for holding in self.holdings]


def drive_in_rounds(server: Server, requests: Iterator[Request], count: int, size: int, clients: int) -> Course:
    """Make `count` of the requests, in rounds of `size`."""
    course = Course()
    while len(course.outcomes) < count:
        # Created before the round, because creating a hostile picture takes longer than answering it.
        some = list(islice(requests, min(size, count - len(course.outcomes))))
        course.outcomes += Load(server.address, iter(some), clients=clients, timeout=TIMEOUT).run()
        course.requests.append(len(course.outcomes))
        wait_until_idle(server)
        course.holdings.append({pid: look_at(pid) for pid in server.workers()})
        print(f"\r{len(course.outcomes):,} of {count:,}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return course


def wait_until_idle(server: Server) -> None:
    """Return when all threads of the workers sleep."""
    looks, deadline = 0, time.perf_counter() + IDLE_SECONDS
    while looks < IDLE_LOOKS and time.perf_counter() < deadline:
        looks = looks + 1 if all(is_idle(pid) for pid in server.workers()) else 0
        time.sleep(0.02)


def require_right_answers(report: Report, course: Course) -> None:
    """Require that every answer is right, none is a 5xx, and no worker died."""
    count = sum(number for status, number in statuses(course.outcomes).items() if status >= 500)
    report.require(count == 0, "No answer is a 5xx", str(count))
    wrong = [outcome for outcome in course.outcomes if outcome.fault is not None]
    report.require(
        not wrong, "Every answer is right", f"{len(wrong)} are not ({faults(wrong)})" if wrong else "all are"
    )
    report.require(course.deaths == 0, "No worker dies", f"{course.deaths} died")
