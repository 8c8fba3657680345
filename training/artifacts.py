"""What a training run leaves behind beside the weights: CSV tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from sklearn.metrics import confusion_matrix
from torch import Tensor

from model import N_DIGITS
from storage import write_atomically
from training.loop import Epoch


def write_tables(history: Sequence[Epoch], logits: Tensor, labels: Tensor, folder: Path) -> None:
    """Write `train_metrics.csv`, `val_metrics.csv` and, from validation, `confusion_matrix.csv`. Raises `OSError`."""
    train = pd.DataFrame(
        {
            "epoch": [epoch.number for epoch in history],
            "loss": [epoch.loss for epoch in history],
            "accuracy": [epoch.accuracy for epoch in history],
            "lr": [epoch.lr for epoch in history],
            "seconds": [epoch.seconds for epoch in history],
            "samples_per_second": [epoch.samples_per_second for epoch in history],
        }
    )
    validation = pd.DataFrame(
        {
            "epoch": [epoch.number for epoch in history],
            "loss": [epoch.validation.loss for epoch in history],
            "accuracy": [epoch.validation.accuracy for epoch in history],
            "errors": [epoch.validation.errors for epoch in history],
            "ece": [epoch.validation.ece for epoch in history],
        }
    )
    digits = list(range(N_DIGITS))
    predicted = logits[:, :N_DIGITS].argmax(1)
    matrix = pd.DataFrame(confusion_matrix(labels, predicted, labels=digits), index=digits, columns=digits)
    matrix.index.name = "true \\ predicted"
    _write_csv(train, folder / "train_metrics.csv", index=False)
    _write_csv(validation, folder / "val_metrics.csv", index=False)
    _write_csv(matrix, folder / "confusion_matrix.csv", index=True)


def _write_csv(table: pd.DataFrame, path: Path, *, index: bool) -> None:
    write_atomically(path, table.to_csv(index=index, float_format="%.6g").encode())
