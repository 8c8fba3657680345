"""What networks simpler than the shipped one reach, each with the same quick recipe.

    DIGITS_DATA_DIR=data python -m benchmarks.baselines               # resumes where it stopped

Each is `train_model.py --recipe fast --model NAME --seed 0`, measured once on the test digits. Writes
benchmarks/results/baselines.csv, which the page about the model shows.
"""

from __future__ import annotations

import argparse
import csv
import io
import subprocess
import sys
from pathlib import Path

from config import ROOT
from model import load_checkpoint
from storage import write_atomically

RESULT = ROOT / "benchmarks" / "results" / "baselines.csv"
_NETWORKS = ("linear", "dense", "mlp")
_RECIPE = "fast"


def main() -> None:
    """Train the networks that are not there yet, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("reports/baselines"), help="folder for checkpoints")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["network", "recipe", "parameters", "test_errors", "test_accuracy"])
    for name in _NETWORKS:
        table.writerow(measure(name, options.work))
    write_atomically(RESULT, text.getvalue().encode())
    print(text.getvalue(), end="")


def measure(name: str, work: Path) -> list[str]:
    """The row of one network, which is trained unless its checkpoint is there."""
    path = work / f"{name}.pth"
    if not path.exists():
        command = [sys.executable, "train_model.py", "--recipe", _RECIPE, "--model", name, "--seed", "0"]
        command += ["--output", str(path), "--reports", str(work / name), "--no-plots"]
        subprocess.run(command, cwd=ROOT, check=True)
    checkpoint = load_checkpoint(path)
    metrics = checkpoint.metrics
    figures = [f"{metrics['test_errors']:.0f}", f"{metrics['test_accuracy']:.4f}"]
    return [name, _RECIPE, str(checkpoint.n_parameters), *figures]


if __name__ == "__main__":
    main()
