"""What is done once the last epoch is: calibrate, measure, and write everything down."""

from __future__ import annotations

import dataclasses
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from config import ROOT
from model import Checkpoint, save_checkpoint
from training.artifacts import vouch, write_reports, write_tables
from training.augment import Distorter
from training.loop import Training
from training.members import Member
from training.metrics import Scores, fit_temperature, predict_logits, rejection_threshold, score
from training.recipes import network_arguments
from training.sources import Split


def finish(
    training: Training, split: Split, member: Member, data: Sequence[str], reports: Path, *, plots: bool
) -> None:
    """Measure a finished training and write its checkpoint, tables and reports. Raises `OSError`."""
    checkpoint = measure(training, split, data, member.seed)
    save_checkpoint(checkpoint, member.output)
    history, validation = training.progress.history, split.validation
    logits = predict_logits(checkpoint.build(), validation)
    folder, suffix = member.output.parent, member.suffix
    tables = write_tables(history, logits, validation.labels, checkpoint.temperature, folder, suffix)
    vouch(member.output, checkpoint.id, tables)
    folder = reports / f"member{member.suffix}" if member.suffix else reports
    write_reports(history, logits, validation.labels, describe_run(checkpoint, training), folder)
    if plots:
        from training.plots import write_plots  # matplotlib takes a second to load

        distort = Distorter(training.recipe.distortions)
        write_plots(history, logits, validation, checkpoint.temperature, split.training, distort, folder)
        vouch(member.output, checkpoint.id, {"mistakes/mnist-validation": folder / "misclassified_digits.png"})
    print(f"wrote {member.output}, model {checkpoint.id}: {format_metrics(checkpoint)}", flush=True)


def measure(training: Training, split: Split, data: Sequence[str], seed: int) -> Checkpoint:
    """Calibrate on validation, then read the test sets: once, now that every choice is made."""
    checkpoint = calibrate(training, data=list(data), seed=seed)
    network, temperature = checkpoint.build(), checkpoint.temperature
    logits = {name: predict_logits(network, digits) for name, digits in split.test.items()}
    metrics = dict(checkpoint.metrics)
    if logits:
        labels = torch.cat([digits.labels for digits in split.test.values()])
        metrics |= _named("test", score(torch.cat(list(logits.values())), labels, temperature))
    if len(logits) > 1:
        for name, digits in split.test.items():
            metrics |= _named(f"test_{name}", score(logits[name], digits.labels, temperature))
    return dataclasses.replace(checkpoint, metrics=metrics)


def calibrate(training: Training, **origin: Any) -> Checkpoint:
    """A checkpoint of the best epoch, with the temperature and the threshold that suit the validation digits."""
    network, recipe, validation = training.best_network(), training.recipe, training.validation
    logits = predict_logits(network, validation)
    temperature = fit_temperature(logits, validation.labels.cpu())
    return Checkpoint(
        architecture=recipe.architecture,
        arguments=network_arguments(recipe),
        state_dict={name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()},
        temperature=temperature,
        rejection_threshold=rejection_threshold(logits),
        metrics=_named("val", score(logits, validation.labels, temperature)),
        commit=_commit(),
        **origin,
    )


def _named(prefix: str, scores: Scores) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in dataclasses.asdict(scores).items()}


def describe_run(checkpoint: Checkpoint, training: Training) -> dict[str, Any]:
    """What made the checkpoint, for `history.json`."""
    names = ("id", "architecture", "arguments", "temperature", "rejection_threshold", "metrics", "data", "seed")
    return {
        **{name: getattr(checkpoint, name) for name in (*names, "torch_version", "commit")},
        "recipe": dataclasses.asdict(training.recipe),
        "best_epoch": training.progress.best_epoch,
        "device": str(training.device),
        "processes": training.world.size,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "machine": platform.platform(),
    }


def format_metrics(checkpoint: Checkpoint) -> str:
    """The figures that people ask for first."""
    metrics = checkpoint.metrics
    validation = f"validation accuracy {metrics['val_accuracy']:.4f}"
    if "test_accuracy" not in metrics:
        return validation
    return (
        f"test accuracy {metrics['test_accuracy']:.4f} ({metrics['test_errors']} errors), "
        f"calibration error {metrics['test_ece']:.4f}; {validation}"
    )


def _commit() -> str:
    """The commit that trained, for the checkpoint; "unknown" outside a git checkout."""
    try:
        command = ["git", "rev-parse", "HEAD"]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return "unknown"
    return result.stdout.strip() or "unknown"
