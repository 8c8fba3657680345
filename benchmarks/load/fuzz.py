"""Send tens of thousands of hostile pictures, reproducible from the seed.

python -m benchmarks.load.fuzz                      # 20,000 pictures
python -m benchmarks.load.fuzz --pictures 500 --seed 7
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.load.decompression_bombs import BOMBS, make_bomb
from benchmarks.load.hostile_requests import picture_requests
from benchmarks.load.soak import Rounds, require_right_answers, run_in_rounds
from benchmarks.report import TIMES_HEAD, Report, options, percentile, times_by_name

MAX_GROWTH = 64.0  # MB of a worker
MAX_SECONDS = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the proof and write its report; the exit status."""
    parser = options(__doc__, "fuzz")
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--round", type=int, default=500, help="pictures between two measurements of the workers")
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--no-bombs", action="store_true", help="leave out pictures that take long to create and to decode"
    )
    chosen = parser.parse_args(arguments)
    if not chosen.no_bombs:  # made in between, they would delay the clock of the responses
        for name in BOMBS:
            make_bomb(name)
    requests = picture_requests(chosen.seed, bombs=not chosen.no_bombs)
    rounds = run_in_rounds(requests, chosen.pictures, chosen.round, chosen.clients)
    return to_report(rounds, chosen.seed, chosen.clients).publish(chosen.output)


def to_report(rounds: Rounds, seed: int, clients: int) -> Report:
    """Figures and bounds."""
    report = Report("Hostile pictures")
    report.say(
        f"`python -m benchmarks.load.fuzz`: {len(rounds.outcomes):,} pictures with seed {seed} from {clients} clients. "
        "`benchmarks/load/hostile_pictures.py` describes the kinds."
    )
    require_right_answers(report, rounds)
    held = [rounds.series(pid, "anonymous") for pid in rounds.workers]
    grown = max((some[-1] - some[0] for some in held), default=0.0)
    report.require(grown < MAX_GROWTH, f"No worker grows by {MAX_GROWTH:g} MB", f"{grown:+.1f} MB")
    slow = [outcome for outcome in rounds.outcomes if outcome.seconds > MAX_SECONDS]
    slowest = percentile([outcome.seconds for outcome in rounds.outcomes], 100) / 1000
    report.aim(
        not slow,
        f"Each response takes at most {MAX_SECONDS:g} s",
        f"{len(slow)} are not, the slowest took {slowest:.2f} s",
    )
    report.table(TIMES_HEAD, times_by_name(rounds.outcomes))
    return report


if __name__ == "__main__":
    sys.exit(main())
