"""How accurate a recipe is: several seeds, each measured once on the test digits, and all of them together.

    DIGITS_DATA_DIR=data python -m benchmarks.accuracy                # 5 seeds of `best`; resumes where it stopped
    python -m benchmarks.accuracy --recipe default --seeds 5

Each seed is `train_model.py --recipe RECIPE --seed N`; nothing is chosen on the test digits. Writes
benchmarks/results/accuracy-RECIPE.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import mean, stdev

import torch

from config import ROOT
from model import load_checkpoint
from storage import write_atomically
from training.members import list_members
from training.recipes import RECIPES

RESULTS = ROOT / "benchmarks" / "results"
_N_TEST = 10_000


@dataclass(frozen=True, slots=True)
class Row:
    """Figures of one network, or of all as an ensemble. Shares are from 0 to 1."""

    name: str
    model: str
    validation_errors: int
    test_errors: int
    test_nll: float
    test_ece: float

    @property
    def test_error(self) -> float:
        """Share of the test digits that is misread."""
        return self.test_errors / _N_TEST


def main() -> None:
    """Train the seeds that are not there yet, measure those that are not measured, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=RECIPES, default="best")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 to SEEDS - 1 (default: 5)")
    parser.add_argument("--work", type=Path, default=Path("reports/accuracy"), help="folder for checkpoints")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    output = options.work / f"{options.recipe}.pth"
    members = list_members(output, options.seeds, 0)
    if not all(member.is_finished for member in members):
        training = ["train_model.py", "--recipe", options.recipe, "--members", str(options.seeds), "--resume"]
        _run(*training, "--output", str(output), "--reports", str(options.work / "reports"), "--no-plots")
    rows = [measure(f"seed {member.seed}", [member.output]) for member in members]
    if len(members) > 1:
        rows.append(measure(f"all {len(members)} averaged", [member.output for member in members]))
    path = RESULTS / f"accuracy-{options.recipe}.md"
    write_atomically(path, to_markdown(options.recipe, rows, members[0].output).encode())
    print(path.read_text())


def measure(name: str, checkpoints: list[Path]) -> Row:
    """Figures of one network, or of several averaged; read from the file of an earlier measurement if there is one."""
    ids = [load_checkpoint(path).id for path in checkpoints]
    kept = checkpoints[0].with_name("-".join(ids) + ".json")
    if not kept.exists():
        arguments = ["evaluate_model.py", *map(str, checkpoints), "--json", "--data", "mnist-validation", "mnist"]
        validation, test = json.loads(_run(*arguments))
        model = ids[0] if len(ids) == 1 else ""
        row = Row(name, model, validation["errors"], test["errors"], test["nll"], test["ece"])
        write_atomically(kept, json.dumps(asdict(row)).encode())
    return Row(**json.loads(kept.read_text()))


def to_markdown(recipe: str, rows: list[Row], checkpoint: Path) -> str:
    """A line for each network, their mean and spread, and the ensemble; `checkpoint` is one of the networks."""
    network, size = load_checkpoint(checkpoint), checkpoint.stat().st_size / 1e6
    single = [row for row in rows if row.model]
    lines = [
        f"# Accuracy of recipe `{recipe}`",
        "",
        f"`python -m benchmarks.accuracy --recipe {recipe} --seeds {len(single)}`, {date.today()}:",
        f"torch {version('torch')}, {platform.machine()}, {torch.get_num_threads()} threads.",
        f"{network.n_parameters:,} parameters, {size:.1f} MB.",
        "Trained on 55,000 MNIST digits, chosen on 5,000, measured once on the 10,000 test digits.",
        "",
        "| network | model | validation errors of 5,000 | test errors of 10,000 | test error % | NLL | ECE % |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        figures = f"{row.validation_errors} | {row.test_errors} | {100 * row.test_error:.2f}"
        lines.append(f"| {row.name} | {row.model} | {figures} | {row.test_nll:.4f} | {100 * row.test_ece:.2f} |")
    if len(single) > 1:
        errors = [100 * row.test_error for row in single]
        lines += [
            "",
            f"Mean of {len(single)} seeds: {mean(errors):.3f} % test error, standard deviation {stdev(errors):.3f}.",
        ]
    return "\n".join(lines) + "\n"


def _run(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
