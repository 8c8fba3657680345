"""Reports of a training (CSV tables, `history.json`, TensorBoard), and the manifest of files about a model."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from sklearn.metrics import classification_report, confusion_matrix
from torch import Tensor
from tqdm import tqdm

from checkpoint import Checkpoint
from model import digit_probabilities
from model_file import N_DIGITS
from storage import write_atomically
from training.augment import Augmentation
from training.calibration import calibration_bins
from training.datasets import Split
from training.distributed import World
from training.ensemble import Member
from training.loop import Epoch, Progress
from training.metrics import predict_logits
from training.recipes import Recipe, UsageError, build_network


def write_reports(
    checkpoint: Checkpoint,
    run: Mapping[str, Any],
    recipe: Recipe,
    split: Split,
    progress: Progress,
    member: Member,
    folder: Path,
    *,
    plots: bool,
) -> list[Path]:
    """Write tables beside the checkpoint, and reports and plots to `folder`.

    Returns the files that the app shows, which the manifest records. Raises `OSError`.
    """
    history, validation, temperature = progress.history, split.validation, checkpoint.temperature
    logits = predict_logits(checkpoint.build(), validation)
    files = {"onnx": member.output.with_suffix(".onnx")}
    files |= write_tables(history, logits, validation.labels, temperature, member.output.parent, member.suffix)
    run = {**run, "best_epoch": progress.best_epoch}
    write_history(checkpoint, run, history, logits, validation.labels, folder)
    if plots:
        from training.plots import write_plots  # importing matplotlib takes a second

        augment = Augmentation(recipe.distortions)
        write_plots(history, logits, validation, temperature, split.training.digits, augment, folder)
        files["mistakes/mnist-validation"] = folder / "misclassified_digits.png"
    record_in_manifest(member.output, checkpoint.id, files)
    return list(files.values())


def write_tables(
    history: Sequence[Epoch], logits: Tensor, labels: Tensor, temperature: float, folder: Path, suffix: str = ""
) -> dict[str, Path]:
    """Write `train_metrics.csv`, `val_metrics.csv` and, from validation, `confusion_matrix.csv` and `reliability.csv`.

    Returns their paths by name. `suffix` distinguishes the members of an ensemble: `train_metrics-3.csv`. Raises
    `OSError`.
    """
    names = ("number", "loss", "accuracy", "lr", "seconds", "samples_per_second")
    train = pd.DataFrame([{name: getattr(epoch, name) for name in names} for epoch in history])
    validation = pd.DataFrame([{"epoch": epoch.number, **asdict(epoch.validation)} for epoch in history])
    tables = {
        "train_metrics": train.rename(columns={"number": "epoch"}).to_csv(index=False, float_format="%.6g"),
        "val_metrics": validation.to_csv(index=False, float_format="%.6g"),
        "confusion_matrix": confusion_table(logits, labels).to_csv(),
        "reliability": reliability_csv(digit_probabilities(logits, temperature), labels),
    }
    paths = {name: folder / f"{name}{suffix}.csv" for name in tables}
    for name, text in tables.items():
        write_atomically(paths[name], text.encode())
    return paths


def confusion_table(logits: Tensor, labels: Tensor) -> pd.DataFrame:
    """How often each true digit (rows) was predicted as each digit (columns)."""
    digits = list(range(N_DIGITS))
    matrix = confusion_matrix(labels, logits[:, :N_DIGITS].argmax(1), labels=digits)
    table = pd.DataFrame(matrix, index=digits, columns=digits)
    table.index.name = "true \\ predicted"
    return table


def reliability_csv(probabilities: Tensor, labels: Tensor) -> str:
    """Accuracy by confidence as CSV, from probabilities `[N, 10]` and labels `[N]`."""
    bins = calibration_bins(probabilities.amax(1), probabilities.argmax(1) == labels)
    return str(pd.DataFrame([asdict(item) for item in bins]).to_csv(index=False, float_format="%.6g"))


def write_history(
    checkpoint: Checkpoint,
    run: Mapping[str, Any],
    history: Sequence[Epoch],
    logits: Tensor,
    labels: Tensor,
    folder: Path,
) -> None:
    """Write `history.json`, with the checkpoint's values and its `run`, and `classification_report.csv`.

    Raises `OSError`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = ("id", "architecture", "arguments", "temperature", "rejection_threshold", "metrics", "data", "seed")
    content = {
        **{name: getattr(checkpoint, name) for name in (*names, "torch_version", "commit")},
        **run,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "machine": platform.platform(),
        "epochs": [asdict(epoch) for epoch in history],
    }
    write_atomically(folder / "history.json", json.dumps(content, indent=2, default=str).encode())
    report = classification_report(
        labels, logits[:, :N_DIGITS].argmax(1), labels=list(range(N_DIGITS)), output_dict=True, zero_division=0
    )
    table = pd.DataFrame(report).T
    table.index.name = "digit"
    write_atomically(folder / "classification_report.csv", table.to_csv(float_format="%.6g").encode())


def format_metrics(metrics: dict[str, float]) -> str:
    """The most important metrics of a checkpoint in one line."""
    validation = f"validation accuracy {metrics['val_accuracy']:.4f}"
    if "test_accuracy" not in metrics:
        return validation
    return (
        f"test accuracy {metrics['test_accuracy']:.4f} ({metrics['test_errors']} errors), "
        f"calibration error {metrics['test_ece']:.4f}; {validation}"
    )


def record_in_manifest(checkpoint: Path, model_id: str, files: Mapping[str, Path]) -> None:
    """Record in the JSON file beside `checkpoint` that these files are about the model `model_id`. Raises `OSError`.

    The app shows only files that are recorded for the running model and unchanged since. Earlier records of the same
    model are kept.
    """
    path = checkpoint.with_suffix(".json")
    records = _read_manifest(path, model_id)
    for name, file in files.items():
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        records[name] = {"file": os.path.relpath(file, path.parent).replace(os.sep, "/"), "sha256": digest}
    write_atomically(path, (json.dumps({"model": model_id, "files": records}, indent=2) + "\n").encode())


def _read_manifest(path: Path, model_id: str) -> dict[str, Any]:
    """The records of the model; empty if there are none or the file is damaged."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return dict(manifest["files"]) if manifest["model"] == model_id else {}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


class TensorBoardWriter:
    """Writes the figures of each epoch to a folder that TensorBoard reads."""

    def __init__(self, folder: Path) -> None:
        """Raises `UsageError` if TensorBoard is not installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UsageError("--tensorboard needs the package tensorboard: pip install tensorboard.") from error
        self._writer = SummaryWriter(str(folder))

    def write(self, epoch: Epoch) -> None:
        """Add one epoch."""
        scalars = {
            "loss/training": epoch.loss,
            "loss/validation": epoch.validation.loss,
            "accuracy/training": epoch.accuracy,
            "accuracy/validation": epoch.validation.accuracy,
            "calibration error/validation": epoch.validation.ece,
            "learning rate": epoch.lr,
            "samples per second": epoch.samples_per_second,
        }
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, epoch.number)
        self._writer.flush()


def describe_plan(
    recipe: Recipe, members: Sequence[Member], reports: Path, device: torch.device, *, if_not_worse: bool = False
) -> str:
    """What a training is about to do, and which files it will replace, always or `if_not_worse`."""
    condition = " if the new network is not worse" if if_not_worse else ""
    n_parameters = sum(weights.numel() for weights in build_network(recipe).parameters())
    lines = [
        f"training {recipe.architecture} with {n_parameters:,} parameters for {recipe.epochs} epochs on {device}",
        f"data: {', '.join(recipe.data)}; real non-digits: {', '.join(recipe.nondigits) or 'none'}",
        f"writing {', '.join(str(member.output) for member in members)}, files beside it, and reports to {reports}",
    ]
    replaced = [member for member in members if member.output.exists()]
    lines += [f"{member.output} will be replaced{condition}, and kept as {member.previous}" for member in replaced]
    return "\n".join(lines)


def epoch_reporter(recipe: Recipe, tensorboard: Path | None, world: World) -> Callable[[Epoch], None]:
    """A function that prints an epoch and adds it to TensorBoard, in the main process. Raises `UsageError`."""
    if not world.is_main_process:
        return lambda _epoch: None
    writer = TensorBoardWriter(tensorboard) if tensorboard else None

    def report(epoch: Epoch) -> None:
        validation = epoch.validation
        tqdm.write(
            f"epoch {epoch.number:3}/{recipe.epochs}  loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.4f}  "
            f"val loss {validation.loss:.4f}  val accuracy {validation.accuracy:.4f}  "
            f"lr {epoch.lr:.2e}  {epoch.seconds:.1f} s  {epoch.samples_per_second:.0f} samples/s"
        )
        sys.stdout.flush()
        if writer:
            writer.write(epoch)

    return report
