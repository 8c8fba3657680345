"""Short versions of the proofs against a running server, and that their reports detect faults."""

import random
import sys
from collections.abc import Iterator
from itertools import chain, product, repeat
from pathlib import Path

import numpy as np
import pytest

from benchmarks.load import chaos, fuzz, overload, serving, slow_clients, soak
from benchmarks.load.generator import Load, Outcome
from benchmarks.load.hostile_requests import documented
from benchmarks.load.soak import Rounds
from benchmarks.load.traffic import reads
from benchmarks.report import Report, growth
from config import Settings
from testing.nginx import MISSING, find_nginx
from testing.processes import ResourceUsage
from testing.programs import require
from testing.servers import Server

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


CONTENDERS = serving.contenders(1)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "report.md"


@pytest.fixture
def needs_nginx() -> None:
    require("nginx", find_nginx(), MISSING)


def test_soak(output: Path) -> None:
    assert soak.main(["--requests", "200", "--round", "100", "--output", str(output)]) == 0
    assert "No answer is a 5xx: 0. Held." in output.read_text()
    assert "| strokes |" in output.read_text()


def test_hostile_pictures_are_harmless(output: Path) -> None:
    assert fuzz.main(["--pictures", "200", "--round", "100", "--no-bombs", "--output", str(output)]) == 0
    assert "| cut |" in output.read_text()


def test_every_refusal_is_as_documented(server: Server, settings: Settings) -> None:
    outcomes = Load(server.address, iter(documented(settings.limits))).run()
    assert [outcome for outcome in outcomes if outcome.fault is not None] == []


@pytest.mark.usefixtures("needs_nginx")
def test_no_response_is_wrong_or_lost_when_workers_end(tmp_path: Path) -> None:
    phases = chaos.run_phases(tmp_path, 3.0, random.Random(0))
    for name, found in phases.items():
        answers = [outcome for outcome in found if outcome.status == 200]
        assert answers, name
        assert all(outcome.fault is None for outcome in answers), name
        # On a busy machine a request may take longer than a worker lives.
        assert "killed" in name or answers == found, name


@pytest.mark.usefixtures("needs_nginx")
def test_slow_clients_do_not_block_others(output: Path) -> None:
    assert slow_clients.main(["--clients", "150", "--seconds", "2", "--output", str(output)]) == 0
    assert "beside 150 slow clients" in output.read_text()


def test_overloaded_server_answers_correctly_or_refuses(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "AFTER_SECONDS", 1.0)
    monkeypatch.setattr(overload, "MIN_CAPACITY_SECONDS", 0.5)
    # A worker with 1,000 connections closes an idle one for a new one. A busy one may not have noticed yet that those
    # of the load before were closed.
    monkeypatch.setattr(overload, "CONNECTIONS", 128)
    trial = overload.overload("alone", server.address, times=4, seconds=1)
    assert {(outcome.status, outcome.fault) for outcome in [*trial.during, *trial.after]} <= {(200, None), (503, None)}
    assert "| alone |" in "".join(overload.to_report([trial], 4).paragraphs)


def test_bare_view_gives_the_same_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "STARTS", 1)
    monkeypatch.setattr(serving, "ROUNDS", 1)
    bare = CONTENDERS[-1]
    figures = serving.measure_alone(bare, tmp_path / "log")
    serving.measure_speed([bare], [figures], tmp_path, 0.05)
    outcomes = [outcome for run in figures.outcomes.values() for outcome in run]
    assert len(figures.outcomes) == len(serving.WHAT) * len(serving.CLIENTS)
    assert {(outcome.status, outcome.fault) for outcome in outcomes} == {(200, None)}


# ---- reports detect faults ----


def rounds(status: int = 200, fault: str | None = None, held: float = 100.0) -> Rounds:
    """Twenty rounds with one worker and the same outcome for all requests."""
    outcome = Outcome("strokes", status, 1.0, 0.002, fault)
    return Rounds(
        outcomes=[outcome] * 2000,
        requests=list(range(100, 2001, 100)),
        usage=[
            {7: ResourceUsage(pss=100, anonymous=held if number > 10 else 100.0, descriptors=9, threads=5)}
            for number in range(20)
        ],
    )


def test_steady_rounds_break_no_bound() -> None:
    assert soak.to_report(rounds(), 0.3).broken == []
    assert fuzz.to_report(rounds(), 0, 2).broken == []


def test_servers_are_compared() -> None:
    figures = [
        serving.Figures(one.name, seconds, [50.0], 60.0) for one, seconds in zip(CONTENDERS, (1, 4, 2), strict=True)
    ]
    for one, rate in zip(figures, (300.0, 200.0, 100.0), strict=True):
        for what, clients in product(serving.WHAT, serving.CLIENTS):
            one.rates[what, clients] = [rate]
            one.outcomes[what, clients] = [Outcome(what, 200, 0.0, clients / rate, None)]
    said = "".join(serving.to_report(figures, 0.3).paragraphs)
    assert "at least 1.3 times PyTorch's: 1.50 times. Reached." in said
    assert "at most 0.67 of PyTorch's time: 0.25. Reached." in said
    assert "| bare Flask view, gunicorn | strokes | 1 | 100.0 | 10.00 |" in said


@pytest.mark.parametrize(
    ("found", "bound"),
    [
        (rounds(status=500, fault="a 500"), "5xx"),
        (rounds(status=0, fault="no answer"), "Every answer is right"),
        (rounds(fault="3 was read as 5"), "Every answer is right"),
        (rounds(held=170.0), "MB"),
    ],
    ids=["a 5xx", "no answer", "a wrong one", "a leak"],
)
def test_faults_break_bounds(found: Rounds, bound: str) -> None:
    for report in (soak.to_report(found, 0.3), fuzz.to_report(found, 0, 2)):
        assert any(bound in broken for broken in report.broken)


def test_death_of_a_worker_breaks_a_bound() -> None:
    found = rounds()
    found.usage[5] = {8: found.usage[5][7]}
    for report in (soak.to_report(found, 0.3), fuzz.to_report(found, 0, 2)):
        assert any("No worker dies" in broken for broken in report.broken)


def outcomes(*faults: tuple[int, str]) -> list[Outcome]:
    good: Iterator[tuple[int, str | None]] = repeat((200, None), 500)
    return [Outcome("strokes", status, 1.0, 0.002, fault) for status, fault in chain(good, faults)]


@pytest.mark.parametrize(
    ("phase", "faults", "is_broken"),
    [
        ("a worker killed every second", [], False),
        ("a worker killed every second", [(0, "no answer")] * chaos.MAX_LOST_PER_KILL, False),
        ("a worker killed every second", [(0, "no answer")] * (chaos.MAX_LOST_PER_KILL + 1), True),
        ("a worker killed every second", [(200, "3 was read as 5")], True),
        ("all workers replaced every 5 s", [(502, "a 502")], True),
    ],
)
def test_chaos_counts_failures(phase: str, faults: list[tuple[int, str]], is_broken: bool) -> None:
    report = chaos.to_report({phase: outcomes(*faults)}, outcomes(), 0)
    assert bool(report.broken) == is_broken


def test_broken_requirement_sets_the_exit_status(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("Proof")
    report.aim(False, "Quick", "slow")
    assert report.publish(output) == 0
    report.require(False, "Right", "wrong")
    assert report.publish(output) == 1
    assert "broken: Right: wrong" in capsys.readouterr().err
    assert "**Broken**" in output.read_text()


def test_responses_are_checked() -> None:
    check = reads(3)
    right = b'{"digit": 3, "probabilities": [0, 0, 0, 0.9, 0.1, 0, 0, 0, 0, 0]}'
    assert check(200, right) is None
    assert reads(4)(200, right) == "4 was read as 3"
    for wrong in (right.replace(b"0.9", b"0.8"), right.replace(b'"digit": 3', b'"digit": 4')):
        assert check(200, wrong) is not None
    assert check(500, right) is not None


def test_growth_is_found_in_noise() -> None:
    requests = np.arange(0, 200_000, 2000)
    noise = np.random.default_rng(0).normal(0, 0.5, len(requests))
    slope, error = growth(list(requests), list(100 + 3e-5 * requests + noise))
    assert abs(slope - 3) < 3 * error
    assert error < 0.5
