"""Measure how the server behaves at ten times the load that it can handle.

    python -m benchmarks.load.overload                  # 60 s, gunicorn alone and behind nginx
    python -m benchmarks.load.overload --seconds 5 --times 3

The server runs on all cores but one, and the load generator on the last. Capacity is the rate of answers in a closed
loop, measured before and after; in between, requests arrive at a fixed rate.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from benchmarks.load.generator import Address, Load, Outcome, Request
from benchmarks.load.traffic import holds, http_request, strokes
from benchmarks.report import Report, faults, options, percentile, statuses
from testing.nginx import SOURCES, TRUST, start_nginx
from testing.servers import start_gunicorn

MIN_GOODPUT = 0.9  # of the capacity
MAX_ACCEPTED_MS, MAX_REFUSED_MS, MAX_RECOVERY_SECONDS = 250.0, 50.0, 2.0
WAITING_CLIENTS = 16  # in the closed loop that measures the capacity
CONNECTIONS = 512
HEALTH_SHARE = 500  # one request in so many asks for health
AFTER_SECONDS = 6.0
MIN_CAPACITY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Trial:
    """Results for one server."""

    name: str
    capacity: float  # requests a second
    offered: float
    seconds: float
    during: list[Outcome]
    after: list[Outcome]  # right after the overload, at half the capacity

    def latencies(self, status: int) -> list[float]:
        """Seconds that responses with this status took during the overload, without health checks."""
        return [o.seconds for o in self.during if o.name != "health" and o.status == status]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the proof and write its report; the exit status."""
    parser = options(__doc__, "overload")
    parser.add_argument("--times", type=float, default=10.0, help="offered load, as a multiple of the capacity")
    parser.add_argument("--seconds", type=float, default=60.0)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            separate_cores() as move_to_last_core,
            start_gunicorn(folder / "log", environment=TRUST) as server,
            start_nginx(folder / "front", server.address, changes=_limit_for_workers()) as front,
        ):
            move_to_last_core()
            places = {"gunicorn alone": server.address, "behind nginx": front.address}
            trials = [overload(name, address, chosen.times, chosen.seconds) for name, address in places.items()]
    return to_report(trials, chosen.times).publish(chosen.output)


@contextmanager
def separate_cores() -> Iterator[Callable[[], None]]:
    """Start processes on all cores but the last; the function given moves this process to the last one."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:-1] or cores)
    try:
        yield lambda: os.sched_setaffinity(0, cores[-1:])
    finally:
        os.sched_setaffinity(0, cores)


def _limit_for_workers() -> dict[str, str]:
    """deploy/nginx.conf limits requests for two workers; here there is one for each core of the server."""
    n_workers = len(os.sched_getaffinity(0))
    return {"max_conns=40;": f"max_conns={20 * n_workers};"}


def overload(name: str, address: Address, times: float, seconds: float) -> Trial:
    """Measure the capacity, the overload, the recovery, and the capacity again."""
    before = measure_capacity(address, seconds)
    offered = times * before
    during = Load(
        address, mixed_with_health(), clients=CONNECTIONS, rate=offered, seconds=seconds, sources=SOURCES
    ).run()
    after = Load(
        address, cycle(strokes()), clients=CONNECTIONS, rate=before / 2, seconds=AFTER_SECONDS, sources=SOURCES
    ).run()
    # The speed of a shared machine drifts.
    capacity = (before + measure_capacity(address, seconds)) / 2
    return Trial(name, capacity, offered, seconds, during, after)


def measure_capacity(address: Address, seconds: float) -> float:
    """Answers per second in a closed loop."""
    waiting = Load(
        address,
        cycle(strokes()),
        clients=WAITING_CLIENTS,
        seconds=max(MIN_CAPACITY_SECONDS, seconds / 6),
        sources=SOURCES,
    ).run()
    return sum(outcome.status == 200 for outcome in waiting) / waiting[-1].at


def mixed_with_health() -> Iterator[Request]:
    """Endless drawings, which may be refused, and health checks, which may not."""
    drawings = [_refusable(request) for request in strokes()]
    health = Request("health", http_request("GET", "/api/v1/health/live"), holds(200, b"live"))
    for number, request in enumerate(cycle(drawings), 1):
        yield request if number % HEALTH_SHARE else health


def _refusable(request: Request) -> Request:
    def check(status: int, body: bytes) -> str | None:
        return None if status == 503 else request.check(status, body)

    return Request(request.name, request.data, check)


def to_report(trials: Sequence[Trial], times: float) -> Report:
    """Figures and bounds."""
    report = Report("Overload")
    report.say(
        f"`python -m benchmarks.load.overload`: drawings at {times:g} times the capacity for "
        f"{trials[0].seconds:g} s, over {CONNECTIONS} connections; the server runs on all cores but one. "
        "Latency counts from when a request was due, not from when it was sent."
    )
    for trial in trials:
        check_trial(report, trial)
    report.table(
        (
            "server",
            "capacity/s",
            "asked/s",
            "answered/s",
            "answer p50 ms",
            "p99",
            "refusal p50 ms",
            "p99",
            "by status",
            "health p99 ms",
        ),
        map(_row, trials),
    )
    return report


def check_trial(report: Report, trial: Trial) -> None:
    """Add the bounds for one server."""
    both = [*trial.during, *trial.after]
    wrong = [o for o in both if o.fault is not None and (o.status == 200 or o.name == "health")]
    report.require(not wrong, f"No answer is wrong and health is always answered ({trial.name})", faults(wrong))
    goodput = len(trial.latencies(200)) / trial.seconds / trial.capacity
    bound = f"Goodput is at least {MIN_GOODPUT:.0%} of the capacity ({trial.name})"
    report.aim(goodput >= MIN_GOODPUT, bound, f"{goodput:.0%}")
    for what, status, most in (("Answers", 200, MAX_ACCEPTED_MS), ("Refusals", 503, MAX_REFUSED_MS)):
        p99 = percentile(trial.latencies(status), 99)
        report.aim(p99 <= most, f"{what} within {most:g} ms, 99 in 100 ({trial.name})", f"{p99:.0f} ms")
    late = (o.at for o in trial.after if o.status != 200 or 1000 * o.seconds > MAX_ACCEPTED_MS)
    recovery = max(late, default=0.0)
    bound = f"Recovered within {MAX_RECOVERY_SECONDS:g} s ({trial.name})"
    report.aim(recovery <= MAX_RECOVERY_SECONDS, bound, f"{recovery:.1f} s")


def _row(trial: Trial) -> tuple[object, ...]:
    return (
        trial.name,
        f"{trial.capacity:.0f}",
        f"{trial.offered:,.0f}",
        f"{len(trial.latencies(200)) / trial.seconds:.0f}",
        *(f"{percentile(trial.latencies(status), share):.1f}" for status in (200, 503) for share in (50, 99)),
        ", ".join(f"{status or 'none'}: {count:,}" for status, count in statuses(trial.during).items()),
        f"{percentile([o.seconds for o in trial.during if o.name == 'health'], 99):.1f}",
    )


if __name__ == "__main__":
    sys.exit(main())
