"""Export of a trained network: calibrated on the validation digits, evaluated once on the test digits."""

from __future__ import annotations

import copy
import dataclasses
import subprocess
from collections.abc import Mapping

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from checkpoint import Checkpoint, save_checkpoint
from config import ROOT
from storage import write_atomically
from training.calibration import fit_temperature, rejection_threshold
from training.datasets import Digits, Split
from training.ensemble import Member
from training.loop import Progress
from training.metrics import Metrics, compute_metrics, predict_logits
from training.onnx_export import save_model
from training.recipes import Recipe, network_arguments


def export(checkpoint: Checkpoint, split: Split, member: Member) -> Checkpoint:
    """Write a calibrated checkpoint to the member's output, with its test metrics. Raises `OSError`."""
    # The test digits are used once, after all choices have been made.
    metrics = checkpoint.metrics | measure_test(checkpoint, split.test)
    checkpoint = dataclasses.replace(checkpoint, metrics=metrics)
    if member.output.exists():
        write_atomically(member.previous, member.output.read_bytes())
    save_model(checkpoint, member.output)
    return checkpoint


def save_last_good(average: AveragedModel, progress: Progress, recipe: Recipe, split: Split, member: Member) -> str:
    """Write the best weights of a diverged training beside its output; returns a sentence that names the file."""
    if progress.best_weights is None:
        return f"no epoch was finished, and {member.output} is unchanged"
    path = member.output.with_suffix(f".last-good{member.output.suffix}")
    network = best_network(average, progress)
    save_checkpoint(calibrate(network, recipe, split, member.seed), path)
    return f"{path} holds the weights of epoch {progress.best_epoch}, and {member.output} is unchanged"


def best_network(average: AveragedModel, progress: Progress) -> nn.Module:
    """A copy of the averaged network with the weights of its best epoch, on the CPU."""
    network: nn.Module = copy.deepcopy(average.module).cpu()
    if progress.best_weights is not None:
        network.load_state_dict(progress.best_weights)
    return network


def calibrate(network: nn.Module, recipe: Recipe, split: Split, seed: int) -> Checkpoint:
    """A checkpoint with the temperature and rejection threshold that fit the validation digits."""
    logits, labels = predict_logits(network, split.validation), split.validation.labels
    temperature = fit_temperature(logits, labels)
    sizes = list(split.n_validation.values())
    by_source = list(zip(logits.split(sizes), labels.split(sizes), strict=True))
    return Checkpoint(
        architecture=recipe.architecture,
        arguments=network_arguments(recipe),
        state_dict={name: tensor.contiguous() for name, tensor in network.state_dict().items()},
        temperature=temperature,
        rejection_threshold=rejection_threshold(by_source),
        metrics=_prefixed("val", compute_metrics(logits, labels, temperature)),
        data=list(split.data),
        seed=seed,
        commit=read_commit(),
    )


def measure_test(checkpoint: Checkpoint, test: Mapping[str, Digits]) -> dict[str, float]:
    """Metrics over all test digits, and of each data set if there are several; empty if there is none."""
    network, temperature = checkpoint.build(), checkpoint.temperature
    logits = {name: predict_logits(network, digits) for name, digits in test.items()}
    metrics: dict[str, float] = {}
    if logits:
        labels = torch.cat([digits.labels for digits in test.values()])
        metrics |= _prefixed("test", compute_metrics(torch.cat(list(logits.values())), labels, temperature))
    if len(logits) > 1:
        for name, digits in test.items():
            metrics |= _prefixed(f"test_{name}", compute_metrics(logits[name], digits.labels, temperature))
    return metrics


def _prefixed(prefix: str, metrics: Metrics) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in dataclasses.asdict(metrics).items()}


def read_commit() -> str:
    """The commit of this code, or "unknown" outside a git checkout."""
    try:
        command = ["git", "rev-parse", "HEAD"]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return "unknown"
    return result.stdout.strip() or "unknown"
