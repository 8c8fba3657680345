"""Train a digit network on MNIST and write `mnist_model.pth` with its CSV metrics.

python train_model.py                        # the default recipe
python train_model.py --recipe best          # what made the shipped weights
python train_model.py --recipe fast --output /tmp/quick.pth
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
from pathlib import Path

import torch

from config import ROOT, Settings, SettingsError
from model import ARCHITECTURES, Checkpoint, save_checkpoint
from training.artifacts import write_tables
from training.batches import Batches
from training.data import N_VALIDATION, DataError, Digits, load_mnist, stratified_split
from training.loop import DivergedError, Epoch, fit
from training.metrics import fit_temperature, predict_logits, rejection_threshold, score
from training.recipes import RECIPES, Recipe


def main(arguments: list[str] | None = None) -> int:
    """Run the trainer; returns the exit status: 0, 1 when training failed, 2 for wrong usage or missing data."""
    try:
        settings = Settings.load()
        options = parse_arguments(settings, arguments)
        train(settings, options)
    except (SettingsError, DataError) as error:
        print(f"train_model: {error}", file=sys.stderr)
        return 2
    except (DivergedError, OSError) as error:
        print(f"train_model: {error}", file=sys.stderr)
        return 1
    return 0


def parse_arguments(settings: Settings, arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; exits with status 2 and the valid names where it is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=RECIPES, default="default", help="named set of choices (default: default)")
    parser.add_argument("--epochs", type=int, help="passes over the training digits (default: the recipe's)")
    parser.add_argument("--seed", type=int, default=0, help="seed of split, weights, order and distortions")
    parser.add_argument("--output", type=Path, default=settings.model_path, help="checkpoint file to write")
    return parser.parse_args(arguments)


def train(settings: Settings, options: argparse.Namespace) -> None:
    """Data to checkpoint. Raises `DataError`, `DivergedError` or `OSError`."""
    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    recipe = RECIPES[options.recipe]
    if options.epochs:
        recipe = dataclasses.replace(recipe, epochs=options.epochs)

    digits = load_mnist(settings.data_dir, train=True)
    in_training, in_validation = stratified_split(digits.labels, N_VALIDATION, options.seed)
    training, validation = digits.select(in_training).to(device), digits.select(in_validation).to(device)

    network_arguments = {**recipe.arguments, "background": recipe.nondigit_share > 0}
    network = ARCHITECTURES[recipe.architecture](**network_arguments)
    history: list[Epoch] = []

    def report(epoch: Epoch) -> None:
        history.append(epoch)
        print(describe(epoch, recipe.epochs), flush=True)

    averaged = fit(network, Batches(training, recipe, options.seed), validation, recipe, device, report)
    checkpoint = measure(averaged, network_arguments, recipe, validation, settings, options.seed)
    save_checkpoint(checkpoint, options.output)
    write_tables(history, predict_logits(averaged, validation), validation.labels, options.output.parent)
    print(f"wrote {options.output}, model {checkpoint.id}: {format_metrics(checkpoint)}")


def measure(
    network: torch.nn.Module,
    network_arguments: dict[str, int | float | bool],
    recipe: Recipe,
    validation: Digits,
    settings: Settings,
    seed: int,
) -> Checkpoint:
    """Calibrate on validation, then read the test set: once, now that every choice is made."""
    logits = predict_logits(network, validation)
    temperature = fit_temperature(logits, validation.labels.cpu())
    on_validation = score(logits, validation.labels, temperature)
    test = load_mnist(settings.data_dir, train=False)
    on_test = score(predict_logits(network.cpu(), test), test.labels, temperature)
    return Checkpoint(
        architecture=recipe.architecture,
        arguments=network_arguments,
        state_dict={name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()},
        temperature=temperature,
        rejection_threshold=rejection_threshold(logits),
        metrics={
            **{f"val_{name}": value for name, value in dataclasses.asdict(on_validation).items()},
            **{f"test_{name}": value for name, value in dataclasses.asdict(on_test).items()},
        },
        data=["mnist"],
        seed=seed,
        commit=_commit(),
    )


def describe(epoch: Epoch, n_epochs: int) -> str:
    """One line for one epoch."""
    return (
        f"epoch {epoch.number:3}/{n_epochs}  loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.4f}  "
        f"val loss {epoch.validation.loss:.4f}  val accuracy {epoch.validation.accuracy:.4f}  "
        f"lr {epoch.lr:.2e}  {epoch.seconds:.1f} s  {epoch.samples_per_second:.0f} samples/s"
    )


def format_metrics(checkpoint: Checkpoint) -> str:
    """The figures that people ask for first."""
    metrics = checkpoint.metrics
    return (
        f"test accuracy {metrics['test_accuracy']:.4f} ({metrics['test_errors']} errors), "
        f"calibration error {metrics['test_ece']:.4f}; validation accuracy {metrics['val_accuracy']:.4f}"
    )


def _commit() -> str:
    """The commit that trained, for the checkpoint; "unknown" outside a git checkout."""
    try:
        command = ["git", "rev-parse", "HEAD"]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return "unknown"
    return result.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
