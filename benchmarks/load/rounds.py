"""Requests in rounds: between two rounds nobody asks anything, and what the server holds is its own."""

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
PATIENCE = 120.0  # seconds; how long an answer takes is reported, and on a busy machine says nothing of the server


@dataclass(slots=True)
class Course:
    """What was found in all rounds so far."""

    outcomes: list[Outcome] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)  # made by the end of each round
    holdings: list[dict[int, Holding]] = field(default_factory=list)  # of each worker, at the end of each round

    @property
    def workers(self) -> list[int]:
        """The workers that lived through all rounds."""
        return [pid for pid in self.holdings[0] if all(pid in holding for holding in self.holdings)]

    @property
    def deaths(self) -> int:
        """Workers that were there after the first round and are no more."""
        return len(self.holdings[0]) - len(self.workers)

    def series(self, pid: int, what: str) -> list[float]:
        """One figure of a worker's, `pss`, `anonymous`, `descriptors` or `threads`, at the end of each round."""
        return [float(getattr(holding[pid], what)) for holding in self.holdings]


def drive_in_rounds(server: Server, requests: Iterator[Request], count: int, size: int, clients: int) -> Course:
    """Make `count` of the requests, `size` of them in each round."""
    course = Course()
    while len(course.outcomes) < count:
        # Made before the round, because making a hostile picture takes longer than answering it.
        some = list(islice(requests, min(size, count - len(course.outcomes))))
        course.outcomes += Load(server.address, iter(some), clients=clients, patience=PATIENCE).run()
        course.requests.append(len(course.outcomes))
        wait_until_idle(server)
        course.holdings.append({pid: look_at(pid) for pid in server.workers()})
        print(f"\r{len(course.outcomes):,} of {count:,}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return course


def wait_until_idle(server: Server) -> None:
    """Return when the workers have noticed that nobody is there any more, which takes them time on a busy machine."""
    looks, deadline = 0, time.perf_counter() + IDLE_SECONDS
    while looks < IDLE_LOOKS and time.perf_counter() < deadline:
        looks = looks + 1 if all(is_idle(pid) for pid in server.workers()) else 0
        time.sleep(0.02)


def require_right_answers(report: Report, course: Course) -> None:
    """Hold `report` to it that every request was answered, rightly, without a 5xx, and that no worker died."""
    count = sum(number for status, number in statuses(course.outcomes).items() if status >= 500)
    report.require(count == 0, "No answer is a 5xx", str(count))
    wrong = [outcome for outcome in course.outcomes if outcome.fault is not None]
    report.require(
        not wrong, "Every answer is right", f"{len(wrong)} are not ({faults(wrong)})" if wrong else "all are"
    )
    report.require(course.deaths == 0, "No worker dies", f"{course.deaths} died")
