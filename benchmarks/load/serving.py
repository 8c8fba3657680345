"""Measure speed, memory and start-up time, compared with PyTorch as the engine and with a bare Flask view.

    python -m benchmarks.load.serving                   # a few minutes, on a machine that does nothing else
    python -m benchmarks.load.serving --seconds 1

All run on the same machine with one worker per core, and are measured in turn. `benchmarks/load/bare_view.py` is a view
of the same recognizer, and nothing else.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle, islice, product
from pathlib import Path

from benchmarks.load.generator import Load, Outcome, Request
from benchmarks.load.traffic import PREDICT, photographs, small_png, strokes
from benchmarks.report import Report, faults, options, percentile
from testing.processes import process_tree, resource_usage
from testing.servers import Server

MAX_PSS = 70.0  # MB
PHOTOGRAPH = "12-megapixel JPEG"
WHAT = ("strokes", "small PNG", PHOTOGRAPH)
CLIENTS = (1, 16)
ROUNDS = 10
STARTS = 3  # of each server; the median counts


@dataclass(frozen=True, slots=True)
class Contender:
    """One server to compare."""

    name: str
    command: Sequence[str]
    drawings: str  # path for drawings
    files: str
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Figures:
    """Results for one contender."""

    name: str
    cold_start: float  # seconds from the command to the first right answer, median
    workers: list[float]  # MB of PSS of each worker
    total: float  # MB of PSS of all its processes
    # By kind of request and number of clients: requests per second in each round, and all outcomes.
    rates: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    outcomes: dict[tuple[str, int], list[Outcome]] = field(default_factory=lambda: defaultdict(list))


def contenders(cores: int) -> list[Contender]:
    """This server with each engine, and the bare view under gunicorn's defaults."""
    gunicorn = [sys.executable, "-m", "gunicorn"]
    environment = {"DIGITS_ENV": "prod", "DIGITS_PORT": "0"}
    bare = [*gunicorn, "-c", "/dev/null", "--no-control-socket", "--bind", "127.0.0.1:0", "--workers", str(cores)]
    return [
        Contender("this server", gunicorn, PREDICT, PREDICT, environment | {"DIGITS_ENGINE": "onnx"}),
        Contender("this server, PyTorch", gunicorn, PREDICT, PREDICT, environment | {"DIGITS_ENGINE": "torch"}),
        Contender(
            "bare Flask view, gunicorn",
            [*bare, "benchmarks.load.bare_view:create_app()"],
            "/predict",
            "/predict/file",
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the proof and write its report; the exit status."""
    parser = options(__doc__, "serving")
    parser.add_argument(
        "--seconds",
        type=float,
        default=5.0,
        help="duration for each contender and kind of request, all rounds together",
    )
    chosen = parser.parse_args(arguments)
    everyone = contenders(len(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory() as folder:
        figures = [measure_alone(one, Path(folder) / "log") for one in everyone]
        measure_speed(everyone, figures, Path(folder), chosen.seconds)
    return to_report(figures, chosen.seconds).publish(chosen.output)


def measure_alone(contender: Contender, log: Path) -> Figures:
    """Start-up time, and memory before any large request."""
    starts = []
    for _ in range(STARTS):
        with start(contender, log) as server:
            starts.append(time.perf_counter() - server.started)
            warm_up(contender, server)
            workers = [resource_usage(pid).pss for pid in answering(server)]
            total = sum(resource_usage(pid).pss for pid in process_tree(server.pid))
    return Figures(contender.name, statistics.median(starts), workers, total)


def measure_speed(everyone: Sequence[Contender], figures: Sequence[Figures], folder: Path, seconds: float) -> None:
    """Measure each in turn, in rounds, so that a slow period of the machine affects all of them."""
    with ExitStack() as stack:
        servers = [stack.enter_context(start(one, folder / f"log-{number}")) for number, one in enumerate(everyone)]
        for one, server in zip(everyone, servers, strict=True):
            warm_up(one, server)
        for what, clients, _ in product(WHAT, CLIENTS, range(ROUNDS)):
            for one, server, found in zip(everyone, servers, figures, strict=True):
                began = time.perf_counter()
                load = Load(server.address, cycle(requests(what, one)), clients=clients, seconds=seconds / ROUNDS)
                outcomes = load.run()
                found.rates[what, clients].append(len(outcomes) / (time.perf_counter() - began))
                found.outcomes[what, clients] += outcomes


def warm_up(contender: Contender, server: Server) -> None:
    """Send drawings and pictures to every worker."""
    for what in ("strokes", "small PNG"):
        Load(server.address, islice(cycle(requests(what, contender)), 64), clients=8).run()


def start(contender: Contender, log: Path) -> Server:
    """Start the contender and wait for its first right answer."""
    server = Server(contender.command, log, environment=contender.environment)
    first = requests("strokes", contender)[:1]
    try:
        while (outcome := Load(server.address, iter(first)).run()[0]).fault is not None:
            if outcome.status or server.process.poll() is not None:
                raise RuntimeError(f"{contender.name} does not answer: {outcome.fault}\n{server.log()}")
            time.sleep(0.005)
    except BaseException:
        server.stop()
        raise
    return server


def answering(server: Server) -> list[int]:
    """The workers: all processes but gunicorn's first."""
    return process_tree(server.pid)[1:]


def requests(what: str, contender: Contender) -> list[Request]:
    """Requests of one kind, for the paths of this contender."""
    kinds = {"strokes": strokes, "small PNG": small_png, PHOTOGRAPH: photographs}
    path = contender.drawings if what == "strokes" else contender.files
    return [
        Request(
            request.name, request.data.replace(f"POST {PREDICT} ".encode(), f"POST {path} ".encode(), 1), request.check
        )
        for request in kinds[what]()
    ]


def to_report(figures: Sequence[Figures], seconds: float) -> Report:
    """Figures and bounds."""
    report = Report("Serving")
    report.say(
        f"`python -m benchmarks.load.serving`: {seconds:g} s each in {ROUNDS} rounds, every answer checked. The bare "
        "view has the same recognizer and reader of numbers, and nothing else. The load generator runs on the same "
        "cores."
    )
    wrong = [outcome for one in figures for run in one.outcomes.values() for outcome in run if outcome.fault]
    report.require(not wrong, "Every answer is right", faults(wrong) if wrong else "all are")
    ours, with_torch, bare = figures
    rounds = zip(ours.rates["strokes", 16], with_torch.rates["strokes", 16], strict=True)
    rate = statistics.median(mine / theirs for mine, theirs in rounds)
    report.aim(rate >= 1.3, "Strokes a second at 16 clients, at least 1.3 times PyTorch's", f"{rate:.2f} times")
    p50 = _p50(ours, "strokes") / _p50(with_torch, "strokes")
    report.aim(p50 <= 0.75, "Strokes at one client, p50 at most 0.75 of PyTorch's", f"{p50:.2f}")
    start = ours.cold_start / with_torch.cold_start
    report.aim(start <= 0.67, "First answer after at most 0.67 of PyTorch's time", f"{start:.2f}")
    photograph = _p50(ours, PHOTOGRAPH) / _p50(bare, PHOTOGRAPH)
    report.aim(photograph <= 1.1, "A photograph, p50 at most 1.1 times the bare view's", f"{photograph:.2f} times")
    report.aim(
        max(ours.workers) <= MAX_PSS, f"Memory of a worker at most {MAX_PSS:g} MB", f"{max(ours.workers):.0f} MB"
    )
    report.table(
        ("server", "requests", "clients", "requests/s", "p50 ms", "p95 ms", "p99 ms"),
        [_row(one, what, clients) for what, clients in ours.rates for one in figures],
    )
    report.table(
        ("server", "first answer after s", "workers", "MB PSS a worker", "MB PSS in all"),
        [
            (f.name, f"{f.cold_start:.2f}", len(f.workers), f"{statistics.mean(f.workers):.0f}", f"{f.total:.0f}")
            for f in figures
        ],
    )
    return report


def _p50(figures: Figures, what: str) -> float:
    """Median seconds at one client."""
    return percentile([outcome.seconds for outcome in figures.outcomes[what, 1]], 50)


def _row(figures: Figures, what: str, clients: int) -> tuple[object, ...]:
    rate = statistics.median(figures.rates[what, clients])
    seconds = [outcome.seconds for outcome in figures.outcomes[what, clients]]
    return figures.name, what, clients, f"{rate:,.1f}", *(f"{percentile(seconds, p):.2f}" for p in (50, 95, 99))


if __name__ == "__main__":
    sys.exit(main())
