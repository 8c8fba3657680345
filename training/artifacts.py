"""What a training run leaves behind beside the weights: tables and figures as files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.metrics import classification_report, confusion_matrix
from torch import Tensor

from model import N_DIGITS, digit_probabilities
from storage import write_atomically
from training.loop import Epoch
from training.metrics import calibration_bins


def write_tables(
    history: Sequence[Epoch], logits: Tensor, labels: Tensor, temperature: float, folder: Path, suffix: str = ""
) -> dict[str, Path]:
    """Write `train_metrics.csv`, `val_metrics.csv` and, from validation, `confusion_matrix.csv` and `reliability.csv`.

    Gives their paths by their names. `suffix` tells the tables of several networks in one folder apart:
    `train_metrics-3.csv`. Raises `OSError`.
    """
    names = ("number", "loss", "accuracy", "lr", "seconds", "samples_per_second")
    train = pd.DataFrame([{name: getattr(epoch, name) for name in names} for epoch in history])
    validation = pd.DataFrame([{"epoch": epoch.number, **asdict(epoch.validation)} for epoch in history])
    tables = {
        "train_metrics": train.rename(columns={"number": "epoch"}).to_csv(index=False, float_format="%.6g"),
        "val_metrics": validation.to_csv(index=False, float_format="%.6g"),
        "confusion_matrix": confusion_table(logits, labels).to_csv(),
        "reliability": reliability_table(digit_probabilities(logits, temperature), labels.cpu()),
    }
    paths = {name: folder / f"{name}{suffix}.csv" for name in tables}
    for name, text in tables.items():
        write_atomically(paths[name], text.encode())
    return paths


def reliability_table(probabilities: Tensor, labels: Tensor) -> str:
    """As CSV, how often the likeliest digit is right by its probability, from probabilities `[N, 10]` and labels."""
    bins = calibration_bins(probabilities.amax(1), probabilities.argmax(1) == labels)
    return str(pd.DataFrame([asdict(item) for item in bins]).to_csv(index=False, float_format="%.6g"))


def vouch(checkpoint: Path, model: str, files: Mapping[str, Path]) -> None:
    """Note in the JSON file beside `checkpoint` that these files are about the model of this id. Raises `OSError`.

    The app shows no others, nor those that have changed since. Files of the same model that were noted before stay so.
    """
    path = checkpoint.with_suffix(".json")
    noted = _noted(path, model)
    for name, file in files.items():
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        noted[name] = {"file": os.path.relpath(file, path.parent).replace(os.sep, "/"), "sha256": digest}
    write_atomically(path, (json.dumps({"model": model, "files": noted}, indent=2) + "\n").encode())


def _noted(path: Path, model: str) -> dict[str, Any]:
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        return dict(note["files"]) if note["model"] == model else {}
    except (OSError, ValueError, LookupError, TypeError):
        return {}  # there was none, or it is of no use


def confusion_table(logits: Tensor, labels: Tensor) -> pd.DataFrame:
    """How often each digit (down) was read as each digit (across)."""
    digits = list(range(N_DIGITS))
    matrix = confusion_matrix(labels.cpu(), logits[:, :N_DIGITS].argmax(1), labels=digits)
    table = pd.DataFrame(matrix, index=digits, columns=digits)
    table.index.name = "true \\ predicted"
    return table


def write_reports(
    history: Sequence[Epoch], logits: Tensor, labels: Tensor, about: dict[str, Any], folder: Path
) -> None:
    """Write `history.json`, with what `about` says of the run, and `classification_report.csv`. Raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    epochs = [asdict(epoch) for epoch in history]
    write_atomically(folder / "history.json", json.dumps({**about, "epochs": epochs}, indent=2, default=str).encode())
    report = classification_report(
        labels.cpu(), logits[:, :N_DIGITS].argmax(1), labels=list(range(N_DIGITS)), output_dict=True, zero_division=0
    )
    table = pd.DataFrame(report).T
    table.index.name = "digit"
    write_atomically(folder / "classification_report.csv", table.to_csv(float_format="%.6g").encode())
