"""Figures of a network over any material: how often it is right, how well it knows, what it takes for a digit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from model import N_DIGITS
from recognition import BlankInput, InputError, Prediction, Recognizer
from training.material import NO_DIGIT, Item
from training.metrics import expected_calibration_error


class Committee(Recognizer):
    """Several networks that answer as one: probabilities, digit scores and thresholds averaged."""

    def __init__(self, members: Sequence[Recognizer]) -> None:
        self.__dict__.update(vars(members[0]))  # limits and what is known of the first
        self._members = members

    def predict_frames(self, frames: Sequence[NDArray[np.float32]]) -> list[Prediction]:
        """Read frames `[28, 28]` as they are."""
        each = [member.predict_frames(frames) for member in self._members]
        return [_average(predictions) for predictions in zip(*each, strict=True)]


def _average(predictions: Sequence[Prediction]) -> Prediction:
    probabilities = np.mean([prediction.probabilities for prediction in predictions], axis=0)
    return Prediction(
        probabilities=tuple(probabilities.tolist()),
        digit_score=float(np.mean([prediction.digit_score for prediction in predictions])),
        # Members differ in their thresholds, so each is asked, and most of them decide.
        is_digit=2 * sum(prediction.is_digit for prediction in predictions) > len(predictions),
        frame=predictions[0].frame,
    )


@dataclass(frozen=True, slots=True)
class Answers:
    """What was answered to each item that could be read; arrays have one entry an item."""

    items: list[Item]
    labels: NDArray[np.int64]  # 0 to 9, or NO_DIGIT
    probabilities: NDArray[np.float64]  # [N, 10]; all equal where an input was blank
    scores: NDArray[np.float64]  # digit scores; -inf where an input was blank
    accepted: NDArray[np.bool_]  # taken for a digit
    frames: list[NDArray[np.float32] | None]  # what the network saw
    unreadable: list[tuple[Item, InputError]]

    @property
    def is_digit(self) -> NDArray[np.bool_]:
        """Which items are digits."""
        digits: NDArray[np.bool_] = self.labels != NO_DIGIT
        return digits

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The likeliest digit of each item; -1 for a blank."""
        return np.where(np.isfinite(self.scores), self.probabilities.argmax(1), -1)


_BLANK = (np.full(N_DIGITS, 1 / N_DIGITS), -np.inf, False, None)


def collect(items: Sequence[Item], answers: Iterable[Prediction | InputError]) -> Answers:
    """Put answers into arrays. A blank counts as refused; what cannot be decoded is listed apart."""
    pairs = list(zip(items, answers, strict=True))
    unreadable = [(i, a) for i, a in pairs if isinstance(a, InputError) and not isinstance(a, BlankInput)]
    read = [(i, a) for i, a in pairs if isinstance(a, Prediction | BlankInput)]
    rows = [
        (np.array(a.probabilities), a.digit_score, a.is_digit, a.frame) if isinstance(a, Prediction) else _BLANK
        for _, a in read
    ]
    return Answers(
        items=[item for item, _ in read],
        labels=np.array([item.label for item, _ in read], dtype=np.int64),
        probabilities=np.array([row[0] for row in rows]).reshape(-1, N_DIGITS),
        scores=np.array([row[1] for row in rows], dtype=np.float64),
        accepted=np.array([row[2] for row in rows], dtype=np.bool_),
        frames=[row[3] for row in rows],
        unreadable=unreadable,
    )


Figures = dict[str, float | int | str | None]


def measure(name: str, answers: Answers, reference: NDArray[np.float64] | None) -> Figures:
    """One row of the table, shares from 0 to 1; None where a figure has nothing to be computed from.

    `reference` are digit scores of true digits, which the scores of non-digits are compared with.
    """
    return {
        "set": name,
        "unreadable": len(answers.unreadable),
        **measure_digits(answers),
        **measure_non_digits(answers, reference),
    }


def measure_digits(answers: Answers) -> Figures:
    """How well the digits among the items are read."""
    digits = answers.is_digit
    labels, probabilities = answers.labels[digits], answers.probabilities[digits]
    n = len(labels)
    if n == 0:
        return {"n": 0} | dict.fromkeys(("accuracy", "errors", "nll", "brier", "ece", "refused"))
    right = answers.predicted[digits] == labels
    of_truth = probabilities[np.arange(n), labels]
    return {
        "n": n,
        "accuracy": float(right.mean()),
        "errors": int((~right).sum()),
        "nll": float(-np.log(of_truth.clip(min=1e-12)).mean()),
        # Brier 1950, over all ten classes: 0 (sure and right) to 2 (sure and wrong).
        "brier": float(((probabilities - np.eye(N_DIGITS)[labels]) ** 2).sum(1).mean()),
        "ece": expected_calibration_error(torch.tensor(probabilities.max(1)).float(), torch.tensor(right)),
        "refused": float((~answers.accepted[digits]).mean()),
    }


def measure_non_digits(answers: Answers, reference: NDArray[np.float64] | None) -> Figures:
    """How well what is no digit is told from digits: AUROC, and false positives where 95 % or 99 % of digits pass."""
    scores = answers.scores[~answers.is_digit]
    row: Figures = {"n_non_digits": len(scores)}
    if len(scores) == 0:
        return row | dict.fromkeys(("auroc", "fpr_at_95", "fpr_at_99", "accepted"))
    row["accepted"] = float(answers.accepted[~answers.is_digit].mean())
    if reference is None:
        return row | dict.fromkeys(("auroc", "fpr_at_95", "fpr_at_99"))
    both = np.concatenate([reference, scores])
    both = np.maximum(both, both[np.isfinite(both)].min() - 1)  # a blank is below all else
    truth = np.arange(len(both)) < len(reference)
    return row | {
        "auroc": float(roc_auc_score(truth, both)),
        "fpr_at_95": float((scores >= np.quantile(reference, 0.05)).mean()),
        "fpr_at_99": float((scores >= np.quantile(reference, 0.01)).mean()),
    }


def worst(answers: Answers, count: int) -> list[int]:
    """Indices of the mistakes, the most confident first: digits read wrongly, then non-digits taken for digits."""
    confidence = answers.probabilities.max(1)
    misread = np.flatnonzero(answers.is_digit & (answers.predicted != answers.labels))
    taken = np.flatnonzero(~answers.is_digit & answers.accepted)
    ranked = [*sorted(misread, key=lambda i: -confidence[i]), *sorted(taken, key=lambda i: -answers.scores[i])]
    return [int(index) for index in ranked[:count]]
