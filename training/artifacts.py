"""What a training run leaves behind beside the weights: tables and figures as files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.metrics import classification_report, confusion_matrix
from torch import Tensor

from model import N_DIGITS
from storage import write_atomically
from training.loop import Epoch


def write_tables(history: Sequence[Epoch], logits: Tensor, labels: Tensor, folder: Path, suffix: str = "") -> None:
    """Write `train_metrics.csv`, `val_metrics.csv` and, from validation, `confusion_matrix.csv`. Raises `OSError`.

    `suffix` tells the tables of several networks in one folder apart: `train_metrics-3.csv`.
    """
    names = ("number", "loss", "accuracy", "lr", "seconds", "samples_per_second")
    train = pd.DataFrame([{name: getattr(epoch, name) for name in names} for epoch in history])
    validation = pd.DataFrame([{"epoch": epoch.number, **asdict(epoch.validation)} for epoch in history])
    tables = {
        "train_metrics": train.rename(columns={"number": "epoch"}).to_csv(index=False, float_format="%.6g"),
        "val_metrics": validation.to_csv(index=False, float_format="%.6g"),
        "confusion_matrix": confusion_table(logits, labels).to_csv(),
    }
    for name, text in tables.items():
        write_atomically(folder / f"{name}{suffix}.csv", text.encode())


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
