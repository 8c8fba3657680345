"""Measure the accuracy of a recipe: several seeds, each evaluated once on the test digits, and their ensemble.

    DIGITS_DATA_DIR=data python -m benchmarks.accuracy                # 5 seeds of `mnist`; resumes if interrupted
    python -m benchmarks.accuracy --recipe default --seeds 5

Each seed is `train_model.py --recipe RECIPE --seed N`, and nothing is chosen on the test digits. Seeds may be trained
on several machines: copy their checkpoints to the `--work` folder. Writes benchmarks/results/accuracy-RECIPE.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

import torch

from benchmarks.report import RESULTS, Report
from checkpoint import Checkpoint, load_checkpoint
from config import ROOT, Settings
from model import digit_probabilities
from training.datasets import Digits
from training.evaluation_sets import load_digits
from training.metrics import Metrics, compute_probability_metrics, predict_logits
from training.recipes import RECIPES
from training.training_state import state_path


def main() -> None:
    """Train the missing seeds, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=RECIPES, default="mnist")
    parser.add_argument("--seeds", type=int, default=5, help="train seeds 0 to SEEDS - 1 (default: 5)")
    parser.add_argument("--work", type=Path, default=Path("reports/accuracy"), help="folder for checkpoints")
    options = parser.parse_args()
    checkpoints = [
        train(options.work / f"{options.recipe}-{seed}.pth", "--recipe", options.recipe, "--seed", str(seed))
        for seed in range(options.seeds)
    ]
    test = load_digits("mnist", Settings.load().data_dir)
    to_report(options.recipe, checkpoints, test).publish(RESULTS / f"accuracy-{options.recipe}.md")


def train(checkpoint: Path, *arguments: str) -> Checkpoint:
    """The checkpoint of a training with these arguments; it is trained or resumed if it is not finished."""
    is_interrupted = state_path(checkpoint).exists()
    if is_interrupted or not checkpoint.exists():
        command = [sys.executable, "train_model.py", *arguments, "--no-plots", "--output", str(checkpoint)]
        command += ["--reports", str(checkpoint.with_suffix(".reports")), *["--resume"] * is_interrupted]
        subprocess.run(command, cwd=ROOT, check=True)
    return load_checkpoint(checkpoint)


def evaluate_ensemble(checkpoints: Sequence[Checkpoint], test: Digits) -> Metrics:
    """Metrics of the networks' mean probabilities."""
    each = [digit_probabilities(predict_logits(c.build(), test), c.temperature) for c in checkpoints]
    return compute_probability_metrics(torch.stack(each).mean(0), test.labels)


def to_report(recipe: str, checkpoints: Sequence[Checkpoint], test: Digits) -> Report:
    """A row for each network and for the ensemble; mean and standard deviation."""
    report = Report(f"Accuracy of recipe `{recipe}`")
    report.say(
        f"`python -m benchmarks.accuracy --recipe {recipe}`: {checkpoints[0].n_parameters:,} parameters. Trained on "
        "55,000 MNIST digits, chosen on 5,000, evaluated once on the 10,000 test digits."
    )
    rows = []
    for checkpoint in checkpoints:
        metrics = checkpoint.metrics
        loss, accuracy, errors, ece = (metrics[f"test_{name}"] for name in ("loss", "accuracy", "errors", "ece"))
        cells = _cells(Metrics(loss, accuracy, int(errors), ece))
        trained = f"torch {checkpoint.torch_version}, commit {checkpoint.commit[:7]}"
        rows.append((f"seed {checkpoint.seed}, {checkpoint.id}", f"{metrics['val_errors']:.0f}", *cells, trained))
    if len(checkpoints) > 1:
        rows.append((f"ensemble of {len(checkpoints)}", "", *_cells(evaluate_ensemble(checkpoints, test)), ""))
    report.table(("network", "validation errors", "test errors", "test error %", "NLL", "ECE %", "trained with"), rows)
    if len(checkpoints) > 1:
        rates = [100 * (1 - checkpoint.metrics["test_accuracy"]) for checkpoint in checkpoints]
        report.say(f"Test error: mean {mean(rates):.3f} %, standard deviation {stdev(rates):.3f}.")
    return report


def _cells(metrics: Metrics) -> tuple[str, ...]:
    error, ece = 100 * (1 - metrics.accuracy), 100 * metrics.ece
    return str(metrics.errors), f"{error:.2f}", f"{metrics.loss:.4f}", f"{ece:.2f}"


if __name__ == "__main__":
    main()
