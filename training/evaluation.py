"""Metrics of a recognizer on an evaluation set: accuracy, calibration, and how well it rejects non-digits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from checkpoint import Checkpoint, load_checkpoint
from model_file import N_DIGITS
from recognition import BlankInput, InputError, Prediction, Recognizer
from recognition.frame import Frame
from recognition.torch_engine import TorchEngine
from training.calibration import expected_calibration_error
from training.evaluation_sets import (
    NON_DIGIT,
    VALIDATION,
    EvaluationSet,
    Item,
    development_sets,
    open_evaluation_sets,
    predict_items,
)

MetricsRow = dict[str, float | int | str | None]
# By how many points a new network may be worse on a set and still replace the old one. 0.2 points are 10 of MNIST's
# 5,000 validation digits.
_MAX_LOWER_ACCURACY, _MAX_MORE_ACCEPTED = 0.2, 1.0
_BLANK = (np.full(N_DIGITS, 1 / N_DIGITS), -np.inf, False, None)


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions for the items that could be read; arrays have one entry per item."""

    items: list[Item]
    labels: NDArray[np.int64]  # 0 to 9, or NON_DIGIT
    probabilities: NDArray[np.float64]  # [N, 10]; uniform for blank inputs
    digit_scores: NDArray[np.float64]  # -inf for blank inputs
    is_digit: NDArray[np.bool_]  # accepted as a digit
    frames: list[Frame | None]  # None for blank inputs
    unreadable: list[tuple[Item, InputError]]

    @property
    def digits(self) -> NDArray[np.int64]:
        """The likeliest digit of each item; -1 for blank inputs."""
        return np.where(np.isfinite(self.digit_scores), self.probabilities.argmax(1), -1)


def collect(items: Sequence[Item], results: Iterable[Prediction | InputError]) -> Predictions:
    """Put predictions into arrays. Blank inputs count as rejected; other errors are listed as unreadable."""
    pairs = list(zip(items, results, strict=True))
    unreadable = [(i, r) for i, r in pairs if isinstance(r, InputError) and not isinstance(r, BlankInput)]
    readable = [(i, r) for i, r in pairs if isinstance(r, Prediction | BlankInput)]
    rows = [
        (np.array(r.probabilities), r.digit_score, r.is_digit, r.frame) if isinstance(r, Prediction) else _BLANK
        for _, r in readable
    ]
    return Predictions(
        items=[item for item, _ in readable],
        labels=np.array([item.label for item, _ in readable], dtype=np.int64),
        probabilities=np.array([row[0] for row in rows]).reshape(-1, N_DIGITS),
        digit_scores=np.array([row[1] for row in rows], dtype=np.float64),
        is_digit=np.array([row[2] for row in rows], dtype=np.bool_),
        frames=[row[3] for row in rows],
        unreadable=unreadable,
    )


def evaluate(name: str, predictions: Predictions, reference: NDArray[np.float64] | None) -> MetricsRow:
    """One row of the table, shares from 0 to 1; None for metrics that cannot be computed.

    `reference`: digit scores of real digits, with which the scores of non-digits are compared.
    """
    return {
        "set": name,
        "unreadable": len(predictions.unreadable),
        **_evaluate_digits(predictions),
        **_evaluate_non_digits(predictions, reference),
    }


def _evaluate_digits(predictions: Predictions) -> MetricsRow:
    rows = predictions.labels != NON_DIGIT
    labels, probabilities = predictions.labels[rows], predictions.probabilities[rows]
    n = len(labels)
    if n == 0:
        return {"n": 0} | dict.fromkeys(("accuracy", "errors", "nll", "brier", "ece", "rejected"))
    correct = predictions.digits[rows] == labels
    of_label = probabilities[np.arange(n), labels]
    return {
        "n": n,
        "accuracy": float(correct.mean()),
        "errors": int((~correct).sum()),
        "nll": float(-np.log(of_label.clip(min=1e-12)).mean()),
        # Brier 1950, over all ten classes: 0 (certain and correct) to 2 (certain and wrong).
        "brier": float(((probabilities - np.eye(N_DIGITS)[labels]) ** 2).sum(1).mean()),
        "ece": expected_calibration_error(torch.tensor(probabilities.max(1)).float(), torch.tensor(correct)),
        "rejected": float((~predictions.is_digit[rows]).mean()),
    }


def _evaluate_non_digits(predictions: Predictions, reference: NDArray[np.float64] | None) -> MetricsRow:
    """AUROC, and the false positive rates at which 95 % and 99 % of the reference digits are accepted."""
    rows = predictions.labels == NON_DIGIT
    scores = predictions.digit_scores[rows]
    row: MetricsRow = {"n_non_digits": len(scores)}
    if len(scores) == 0:
        return row | dict.fromkeys(("auroc", "fpr_at_95", "fpr_at_99", "accepted"))
    row["accepted"] = float(predictions.is_digit[rows].mean())
    if reference is None:
        return row | dict.fromkeys(("auroc", "fpr_at_95", "fpr_at_99"))
    both = np.concatenate([reference, scores])
    both = np.maximum(both, both[np.isfinite(both)].min() - 1)  # roc_auc_score takes no -inf
    is_reference = np.arange(len(both)) < len(reference)
    return row | {
        "auroc": float(roc_auc_score(is_reference, both)),
        "fpr_at_95": float((scores >= np.quantile(reference, 0.05)).mean()),
        "fpr_at_99": float((scores >= np.quantile(reference, 0.01)).mean()),
    }


def worst_mistakes(predictions: Predictions, count: int) -> list[int]:
    """Indices of the mistakes, most confident first: misclassified digits, then non-digits accepted as digits."""
    confidence, is_non_digit = predictions.probabilities.max(1), predictions.labels == NON_DIGIT
    misclassified = np.flatnonzero(~is_non_digit & (predictions.digits != predictions.labels))
    accepted = np.flatnonzero(is_non_digit & predictions.is_digit)
    ranked = [
        *sorted(misclassified, key=lambda i: -confidence[i]),
        *sorted(accepted, key=lambda i: -predictions.digit_scores[i]),
    ]
    return [int(index) for index in ranked[:count]]


# ---- comparing a new network with the one that it is to replace ----


class NotPromotedError(Exception):
    """A new network is worse than the one that it was to replace."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A network that a new one is compared with, and the sets for it."""

    checkpoint: Checkpoint
    sets: Sequence[EvaluationSet]

    def list_losses(self, checkpoint: Checkpoint) -> list[str]:
        """On which sets, and by how much, the network of `checkpoint` is worse; empty within the tolerance."""
        n_threads = torch.get_num_threads()
        before, after = (self._evaluate(each) for each in (self.checkpoint, checkpoint))
        torch.set_num_threads(n_threads)  # which the engine of a recognizer sets to 1
        return [loss for pair in zip(before, after, strict=True) for loss in list_losses(*pair)]

    def _evaluate(self, checkpoint: Checkpoint) -> list[MetricsRow]:
        recognizer = Recognizer(TorchEngine(checkpoint))
        return [evaluate(s.name, collect(s.items, predict_items(recognizer, s.items)), None) for s in self.sets]


def open_baseline(checkpoint: Path, data_dir: Path) -> Baseline:
    """The network of a checkpoint, MNIST's validation digits and the development sets.

    Raises `CheckpointError` or `DataError`.
    """
    specs = [VALIDATION, *map(str, development_sets(data_dir))]
    return Baseline(load_checkpoint(checkpoint), [s for spec in specs for s in open_evaluation_sets(spec, data_dir)])


def list_losses(before: MetricsRow, after: MetricsRow) -> list[str]:
    """How the metrics of a set are worse than before, if by more than the tolerance."""
    losses = []
    for name, sign, tolerance, words in (
        ("accuracy", -1, _MAX_LOWER_ACCURACY, "accuracy on {} is lower by {:.2f} points"),
        ("accepted", 1, _MAX_MORE_ACCEPTED, "the share of accepted non-digits on {} is higher by {:.2f} points"),
    ):
        old, new = before[name], after[name]
        if isinstance(old, float) and isinstance(new, float):
            points = round(100 * sign * (new - old), 6)  # 99.8 - 99.6 is more than 0.2 in binary
            if points > tolerance:
                losses.append(words.format(before["set"], points))
    return losses
