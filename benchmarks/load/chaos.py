"""Measure what clients notice when workers end, behind nginx and under load.

    python -m benchmarks.load.chaos                     # a worker is killed every second, for 5 minutes
    python -m benchmarks.load.chaos --seconds 20

Then come regular operations: workers get TERM, all are replaced by HUP, workers are recycled after a number of
requests, and finally the server gets TERM while it is busy.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path

from benchmarks.load.generator import Address, Load, Outcome, Request
from benchmarks.load.traffic import photographs, small_png, strokes
from benchmarks.report import Report, faults, options, percentile
from testing.nginx import SOURCES, TRUST, start_nginx
from testing.servers import start_gunicorn

CLIENTS = 8
# A killed worker loses the requests that it works on, at most one of each client: nginx sends none to another worker.
MAX_LOST_PER_KILL = CLIENTS
REQUESTS_PER_WORKER = 50  # before it is recycled
TIMEOUT = 60.0  # seconds; on a busy machine a worker starts slowly


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the proof and write its report; the exit status."""
    parser = options(__doc__, "chaos")
    parser.add_argument(
        "--seconds", type=float, default=300.0, help="duration of the kills; the other phases take a tenth"
    )
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        phases = run_phases(folder, chosen.seconds, random.Random(chosen.seed))
        ending, status = stop_while_busy(folder)
    return to_report(phases, ending, status).publish(chosen.output)


def run_phases(folder: Path, seconds: float, rng: random.Random) -> dict[str, list[Outcome]]:
    """The outcomes of the requests in each phase."""
    phases = {}
    with (
        start_gunicorn(folder / "server.log", environment=TRUST) as server,
        start_nginx(folder / "front", server.address) as front,
    ):

        def send(how: signal.Signals) -> None:
            with suppress(ProcessLookupError, IndexError):  # just killed and not replaced yet
                os.kill(rng.choice(server.workers()), how)

        phases["a worker killed every second"] = run_phase(front.address, seconds, 1.0, lambda: send(signal.SIGKILL))
        phases["a worker terminated every second"] = run_phase(
            front.address, seconds / 10, 1.0, lambda: send(signal.SIGTERM)
        )
        reload = lambda: server.process.send_signal(signal.SIGHUP)  # noqa: E731
        phases["all workers replaced every 5 s"] = run_phase(front.address, seconds / 10, 5.0, reload)
    lives = ["--max-requests", str(REQUESTS_PER_WORKER), "--max-requests-jitter", "10"]
    with (
        start_gunicorn(folder / "short.log", arguments=lives, environment=TRUST) as server,
        start_nginx(folder / "short", server.address) as front,
    ):
        phases["workers recycled"] = run_phase(front.address, seconds / 10, seconds, lambda: None)
    return phases


def run_phase(address: Address, seconds: float, pause: float, act: Callable[[], None]) -> list[Outcome]:
    """Make requests for so many seconds, and call `act` after every pause."""
    load = Load(address, cycle(mixed()), clients=CLIENTS, seconds=seconds, timeout=TIMEOUT, sources=SOURCES)
    load.every(pause, act)
    return load.run()


def mixed() -> list[Request]:
    """Drawings and small pictures in turn."""
    return [request for pair in zip(strokes(), small_png(), strict=True) for request in pair]


def stop_while_busy(folder: Path) -> tuple[list[Outcome], int]:
    """The outcomes of requests in flight when the server gets TERM, and its exit status."""
    with start_gunicorn(folder / "end.log") as server:
        some = list(islice(cycle(photographs()), CLIENTS))
        load = Load(server.address, iter(some), clients=CLIENTS, timeout=TIMEOUT)
        load.every(0.3, server.process.terminate)  # more than one TERM changes nothing
        outcomes = load.run()
        status = server.stop()
    return outcomes, status


def to_report(phases: dict[str, list[Outcome]], ending: Sequence[Outcome], status: int) -> Report:
    """Figures and bounds."""
    report = Report("Chaos")
    report.say(
        f"`python -m benchmarks.load.chaos`: drawings and small pictures from {CLIENTS} clients in a closed loop, "
        "through nginx with `deploy/nginx.conf` without TLS. Failed means not answered with 200, wrong means answered "
        "with another digit."
    )
    rows = []
    for name, outcomes in phases.items():
        failed = [outcome for outcome in outcomes if outcome.status != 200]
        wrong = [outcome for outcome in outcomes if outcome.status == 200 and outcome.fault is not None]
        seconds = [outcome.seconds for outcome in outcomes]
        times = (f"{percentile(seconds, share):.0f}" for share in (50, 99, 100))
        rows.append((name, f"{len(outcomes):,}", len(failed), len(wrong), *times))
        report.require(not wrong, f"No answer is wrong ({name})", faults(wrong) if wrong else "none")
        kills = max(outcome.at for outcome in outcomes) if "killed" in name else 0.0  # one a second
        most = MAX_LOST_PER_KILL * kills
        bound = f"At most {MAX_LOST_PER_KILL} fail per kill" if most else "None fails"
        found = f"{len(failed)} of {len(outcomes)}" + (f" ({faults(failed)})" if failed else "")
        report.require(len(failed) <= most, f"{bound} ({name})", found)
    lost = [outcome for outcome in ending if outcome.fault is not None]
    report.require(
        not lost and status == 0,
        f"After TERM with {len(ending)} photographs in flight, the server answers them all and exits with 0",
        f"{len(lost)} lost ({faults(lost)}), status {status}",
    )
    report.table(("phase", "requests", "failed", "wrong", "p50 ms", "p99 ms", "slowest ms"), rows)
    return report


if __name__ == "__main__":
    sys.exit(main())
