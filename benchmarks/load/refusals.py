"""How long each documented way to be refused takes.

python -m benchmarks.load.refusals                  # each 100 times, one after the other
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from itertools import chain, repeat
from pathlib import Path

from benchmarks.load.generator import Load, Outcome
from benchmarks.load.hostile_requests import documented
from benchmarks.load.report import TIMES_HEAD, Report, faults, options, percentile, times_by_name
from config import Settings
from testing.servers import start_gunicorn

MAX_MS = 50.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, report; the exit status."""
    parser = options(__doc__, "refusals")
    parser.add_argument("--times", type=int, default=100, help="how often each is asked")
    chosen = parser.parse_args(arguments)
    requests = documented(Settings.load().limits)
    with tempfile.TemporaryDirectory() as folder, start_gunicorn(Path(folder) / "log") as server:
        Load(server.address, iter(requests * 2), clients=4).run()  # every worker is warm
        every = chain.from_iterable(repeat(requests, chosen.times))
        outcomes = Load(server.address, every, clients=1).run()
    return to_report(outcomes, chosen.times).publish(chosen.output)


def to_report(outcomes: Sequence[Outcome], times: int) -> Report:
    """Figures and bounds."""
    report = Report("Refusals")
    report.say(
        f"`python -m benchmarks.load.refusals`: each documented way to be refused, {times} times, one at a time."
    )
    wrong = [outcome for outcome in outcomes if outcome.fault is not None]
    report.require(not wrong, "Each is refused as documented", faults(wrong) if wrong else "all are")
    by_name: dict[str, list[float]] = {}
    for outcome in outcomes:
        by_name.setdefault(outcome.name, []).append(outcome.seconds)
    name, p99 = max(((name, percentile(some, 99)) for name, some in by_name.items()), key=lambda pair: pair[1])
    report.aim(p99 < MAX_MS, f"Each within {MAX_MS:g} ms, 99 times in 100", f"the slowest, {name}, takes {p99:.1f} ms")
    report.table(TIMES_HEAD, times_by_name(outcomes))
    return report


if __name__ == "__main__":
    sys.exit(main())
