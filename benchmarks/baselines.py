"""Measure the accuracy of simpler networks, each trained with the same quick recipe.

    DIGITS_DATA_DIR=data python -m benchmarks.baselines               # skips networks that have been trained

Each is `train_model.py --recipe fast --model NAME --seed 0`, evaluated once on the test digits. Writes `baselines.csv`
beside the model; the app shows it at /model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from benchmarks.accuracy import train
from checkpoint import load_checkpoint
from config import Settings
from storage import write_atomically
from training.reports import record_in_manifest

_NETWORKS = ("linear", "dense", "mlp")
_RECIPE = "fast"


def main() -> None:
    """Train the missing networks, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("reports/baselines"), help="folder for checkpoints")
    work = parser.parse_args().work
    work.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame([measure(name, work) for name in _NETWORKS]).to_csv(index=False, float_format="%.4f")
    model_path = Settings.load().model_path
    path = model_path.with_name("baselines.csv")
    write_atomically(path, table.encode())
    record_in_manifest(model_path, load_checkpoint(model_path).id, {"baselines": path})
    print(table, end="")


def measure(name: str, work: Path) -> dict[str, str | int | float]:
    """The row of one network, which is trained if it has not been."""
    checkpoint = train(work / f"{name}.pth", "--recipe", _RECIPE, "--model", name, "--seed", "0")
    return {
        "network": name,
        "recipe": _RECIPE,
        "parameters": checkpoint.n_parameters,
        "test_errors": int(checkpoint.metrics["test_errors"]),
        "test_accuracy": checkpoint.metrics["test_accuracy"],
    }


if __name__ == "__main__":
    main()
