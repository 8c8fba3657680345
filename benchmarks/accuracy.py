"""How accurate a recipe is: several seeds, each evaluated once on the test digits, and their ensemble.

    DIGITS_DATA_DIR=data python -m benchmarks.accuracy                # 5 seeds of `best`; resumes if interrupted
    python -m benchmarks.accuracy --recipe default --seeds 5

Each seed is `train_model.py --recipe RECIPE --seed N`, and nothing is chosen on the test digits. Seeds may be trained
on several machines: copy their checkpoints to the `--work` folder. Writes benchmarks/results/accuracy-RECIPE.md.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import mean, stdev

import torch

from config import ROOT, Settings
from model import Checkpoint, digit_probabilities, load_checkpoint
from storage import write_atomically
from training.datasets import Digits
from training.evaluation_sets import load_digits
from training.metrics import Metrics, compute_probability_metrics, predict_logits
from training.recipes import RECIPES
from training.training_state import state_path

RESULTS = ROOT / "benchmarks" / "results"


def main() -> None:
    """Train the seeds that are missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=RECIPES, default="best")
    parser.add_argument("--seeds", type=int, default=5, help="train seeds 0 to SEEDS - 1 (default: 5)")
    parser.add_argument("--work", type=Path, default=Path("reports/accuracy"), help="folder for checkpoints")
    options = parser.parse_args()
    checkpoints = [load_checkpoint(train(options.recipe, seed, options.work)) for seed in range(options.seeds)]
    test = load_digits("mnist", Settings.load().data_dir)
    text = to_markdown(options.recipe, checkpoints, test)
    write_atomically(RESULTS / f"accuracy-{options.recipe}.md", text.encode())
    print(text)


def train(recipe: str, seed: int, work: Path) -> Path:
    """The checkpoint of a seed, trained or resumed if it is not finished."""
    checkpoint = work / f"{recipe}-{seed}.pth"
    is_interrupted = state_path(checkpoint).exists()
    if is_interrupted or not checkpoint.exists():
        command = [sys.executable, "train_model.py", "--recipe", recipe, "--seed", str(seed), "--no-plots"]
        command += ["--output", str(checkpoint), "--reports", str(work / f"reports-{seed}")]
        subprocess.run(command + ["--resume"] * is_interrupted, cwd=ROOT, check=True)
    return checkpoint


def evaluate_ensemble(checkpoints: Sequence[Checkpoint], test: Digits) -> Metrics:
    """Metrics of the networks' mean probabilities."""
    each = [digit_probabilities(predict_logits(c.build(), test), c.temperature) for c in checkpoints]
    return compute_probability_metrics(torch.stack(each).mean(0), test.labels)


def to_markdown(recipe: str, checkpoints: Sequence[Checkpoint], test: Digits) -> str:
    """A row for each network and the ensemble; mean and standard deviation."""
    lines = [
        f"# Accuracy of recipe `{recipe}`",
        "",
        f"`python -m benchmarks.accuracy --recipe {recipe}`, {date.today()}, {platform.machine()}.",
        f"{checkpoints[0].n_parameters:,} parameters. Trained on 55,000 MNIST digits,",
        "chosen on 5,000, evaluated once on the 10,000 test digits.",
        "",
        "| network | model | validation errors | test errors | test error % | NLL | ECE % | trained |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for checkpoint in checkpoints:
        metrics = checkpoint.metrics
        loss, accuracy, errors, ece = (metrics[f"test_{name}"] for name in ("loss", "accuracy", "errors", "ece"))
        cells = _cells(Metrics(loss, accuracy, int(errors), ece))
        trained = f"torch {checkpoint.torch_version}, commit {checkpoint.commit[:7]}"
        lines.append(
            f"| seed {checkpoint.seed} | {checkpoint.id} | {metrics['val_errors']:.0f} | {cells} | {trained} |"
        )
    if len(checkpoints) > 1:
        ensemble = _cells(evaluate_ensemble(checkpoints, test))
        lines.append(f"| ensemble of {len(checkpoints)} | | | {ensemble} | |")
        rates = [100 * (1 - checkpoint.metrics["test_accuracy"]) for checkpoint in checkpoints]
        lines += ["", f"Test error: mean {mean(rates):.3f} %, standard deviation {stdev(rates):.3f}."]
    return "\n".join(lines) + "\n"


def _cells(metrics: Metrics) -> str:
    error, ece = 100 * (1 - metrics.accuracy), 100 * metrics.ece
    return f"{metrics.errors} | {error:.2f} | {metrics.loss:.4f} | {ece:.2f}"


if __name__ == "__main__":
    main()
