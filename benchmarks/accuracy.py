"""How accurate a recipe is: several seeds, each evaluated once on the test digits, and their ensemble.

    DIGITS_DATA_DIR=data python -m benchmarks.accuracy                # 5 seeds of `best`; resumes if interrupted
    python -m benchmarks.accuracy --recipe default --seeds 5

Each seed is `train_model.py --recipe RECIPE --seed N`, and nothing is chosen on the test digits. Predictions are stored
in benchmarks/results/accuracy/RECIPE-N.npz, so that seeds from several machines can be combined in
benchmarks/results/accuracy-RECIPE.md.
"""

from __future__ import annotations

import argparse
import io
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch
from torch import Tensor

from config import ROOT, Settings
from model import Checkpoint, digit_probabilities, load_checkpoint
from storage import write_atomically
from training.datasets import Digits
from training.evaluation_sets import load_digits
from training.metrics import Metrics, compute_metrics, compute_probability_metrics, predict_logits
from training.recipes import RECIPES
from training.training_state import state_path

RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True, slots=True)
class Seed:
    """Results of one trained network."""

    number: int
    model: str
    trained: str  # version of torch, machine, date, commit
    n_parameters: int
    n_bytes: int  # of its checkpoint
    validation_errors: int
    test: Metrics
    probabilities: Tensor  # float32 [10000, 10], of the test digits; stored in half precision


def main() -> None:
    """Train and evaluate the seeds that are missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=RECIPES, default="best")
    parser.add_argument("--seeds", type=int, default=5, help="train seeds 0 to SEEDS - 1 (default: 5)")
    parser.add_argument("--work", type=Path, default=Path("reports/accuracy"), help="folder for checkpoints")
    options = parser.parse_args()
    data_dir = Settings.load().data_dir
    validation, test = load_digits("mnist-validation", data_dir), load_digits("mnist", data_dir)
    for number in range(options.seeds):
        if not result_path(options.recipe, number).exists():
            checkpoint = train(options.recipe, number, options.work)
            save_result(evaluate(checkpoint, validation, test), options.recipe)
    path = RESULTS / f"accuracy-{options.recipe}.md"
    write_atomically(path, to_markdown(options.recipe, load_results(options.recipe, test), test).encode())
    print(path.read_text())


def train(recipe: str, number: int, work: Path) -> Path:
    """The checkpoint of a seed, trained or resumed if it is not finished."""
    checkpoint = work / f"{recipe}-{number}.pth"
    state = state_path(checkpoint)
    if state.exists() or not checkpoint.exists():
        command = [sys.executable, "train_model.py", "--recipe", recipe, "--seed", str(number), "--no-plots"]
        command += ["--output", str(checkpoint), "--reports", str(work / f"reports-{number}")]
        subprocess.run(command + ["--resume"] * state.exists(), cwd=ROOT, check=True)
    return checkpoint


def evaluate(path: Path, validation: Digits, test: Digits) -> Seed:
    """Results of a checkpoint on the validation and the test digits."""
    checkpoint = load_checkpoint(path)
    logits = predict_logits(checkpoint.build(), test)
    return Seed(
        number=checkpoint.seed,
        model=checkpoint.id,
        trained=describe_training(checkpoint),
        n_parameters=checkpoint.n_parameters,
        n_bytes=path.stat().st_size,
        validation_errors=compute_metrics(predict_logits(checkpoint.build(), validation), validation.labels).errors,
        test=compute_metrics(logits, test.labels, checkpoint.temperature),
        probabilities=digit_probabilities(logits, checkpoint.temperature),
    )


def describe_training(checkpoint: Checkpoint) -> str:
    """Where a checkpoint was trained; it is evaluated on the same machine."""
    return f"torch {checkpoint.torch_version}, {platform.machine()}, {date.today()}, commit {checkpoint.commit[:7]}"


def result_path(recipe: str, number: int) -> Path:
    """The file with the results of a seed."""
    return RESULTS / "accuracy" / f"{recipe}-{number}.npz"


def save_result(seed: Seed, recipe: str) -> None:
    """Write what `load_results` reads."""
    path = result_path(recipe, seed.number)
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        model=seed.model,
        trained=seed.trained,
        n_parameters=seed.n_parameters,
        n_bytes=seed.n_bytes,
        validation_errors=seed.validation_errors,
        probabilities=seed.probabilities.numpy().astype(np.float16),
    )
    write_atomically(path, buffer.getvalue())


def load_results(recipe: str, test: Digits) -> list[Seed]:
    """All seeds of a recipe that were evaluated, by number."""
    seeds = []
    for path in sorted(result_path(recipe, 0).parent.glob(f"{recipe}-*.npz")):
        with np.load(path) as result:
            probabilities = torch.from_numpy(result["probabilities"].astype(np.float32))
            seeds.append(
                Seed(
                    number=int(path.stem.removeprefix(f"{recipe}-")),
                    model=str(result["model"]),
                    trained=str(result["trained"]),
                    n_parameters=int(result["n_parameters"]),
                    n_bytes=int(result["n_bytes"]),
                    validation_errors=int(result["validation_errors"]),
                    test=compute_probability_metrics(probabilities, test.labels),
                    probabilities=probabilities,
                )
            )
    return sorted(seeds, key=lambda seed: seed.number)


def to_markdown(recipe: str, seeds: Sequence[Seed], test: Digits) -> str:
    """A row for each network and the ensemble; mean and standard deviation."""
    lines = [
        f"# Accuracy of recipe `{recipe}`",
        "",
        f"`python -m benchmarks.accuracy --recipe {recipe}`, evaluated with torch {version('torch')}.",
        f"{seeds[0].n_parameters:,} parameters, {seeds[0].n_bytes / 1e6:.1f} MB each. Trained on 55,000 MNIST digits,",
        "chosen on 5,000, evaluated once on the 10,000 test digits.",
        "",
        "| network | model | validation errors | test errors | test error % | NLL | ECE % | trained |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for seed in seeds:
        cells = [f"seed {seed.number}", seed.model, str(seed.validation_errors), *_cells(seed.test), seed.trained]
        lines.append(f"| {' | '.join(cells)} |")
    if len(seeds) > 1:
        together = compute_probability_metrics(torch.stack([seed.probabilities for seed in seeds]).mean(0), test.labels)
        lines.append(f"| {' | '.join([f'all {len(seeds)} averaged', '', '', *_cells(together), ''])} |")
        errors = [100 * (1 - seed.test.accuracy) for seed in seeds]
        spread = f"mean {mean(errors):.3f} %, standard deviation {stdev(errors):.3f}"
        lines += ["", f"Test error over {len(seeds)} seeds: {spread}."]
    return "\n".join(lines) + "\n"


def _cells(metrics: Metrics) -> list[str]:
    error, ece = 100 * (1 - metrics.accuracy), 100 * metrics.ece
    return [str(metrics.errors), f"{error:.2f}", f"{metrics.loss:.4f}", f"{ece:.2f}"]


if __name__ == "__main__":
    main()
