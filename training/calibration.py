"""Calibration: the temperature and the rejection threshold, fitted on validation, and the calibration error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from model import digit_score
from model_file import N_DIGITS

N_BINS = 15
_MIN_REJECTED = 5  # digits of a source, below which their share is too uncertain to set the threshold


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Predictions whose confidence is between `low` and `high`."""

    low: float
    high: float
    n: int
    confidence: float  # mean
    accuracy: float


def expected_calibration_error(confidence: Tensor, correct: Tensor, n_bins: int = N_BINS) -> float:
    """Mean gap between confidence and accuracy, 0 to 1, over equal bins (Guo et al. 2017, arXiv:1706.04599)."""
    bins = calibration_bins(confidence, correct, n_bins)
    return sum(item.n * abs(item.accuracy - item.confidence) for item in bins) / len(confidence)


def calibration_bins(confidence: Tensor, correct: Tensor, n_bins: int = N_BINS) -> list[CalibrationBin]:
    """Accuracy by confidence, from confidence `[N]` and correct `[N]`, in equal bins without the empty ones."""
    place = (confidence * n_bins).long().clamp(max=n_bins - 1)
    counts = place.bincount(minlength=n_bins)
    confidences = torch.zeros(n_bins).index_add(0, place, confidence) / counts
    accuracies = torch.zeros(n_bins).index_add(0, place, correct.float()) / counts
    return [
        CalibrationBin(
            index / n_bins,
            (index + 1) / n_bins,
            int(counts[index]),
            float(confidences[index]),
            float(accuracies[index]),
        )
        for index in range(n_bins)
        if counts[index]
    ]


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature, 0.05 to 20, with the lowest negative log-likelihood for logits `[N, 10 or 11]`, labels `[N]`."""
    log_temperature = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(logits[:, :N_DIGITS] / log_temperature.exp(), labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    # Where every prediction is correct, the likelihood keeps growing as the temperature falls.
    return min(max(log_temperature.exp().item(), 0.05), 20.0)


def rejection_threshold(sources: Sequence[tuple[Tensor, Tensor]], share: float = 0.015) -> float:
    """The highest threshold that rejects at most this share of the correctly read digits of each source.

    Each source has logits `[N, 10 or 11]` and labels `[N]`. Misread digits do not count: it is right to reject them,
    and nobody can read some of them, such as drawings cut in half. Sources that are too small to measure the share are
    used only if there is no larger one.
    """
    enough = [source for source in sources if len(source[1]) * share >= _MIN_REJECTED] or sources
    return min(_low_score(logits, labels, share) for logits, labels in enough)


def _low_score(logits: Tensor, labels: Tensor, share: float) -> float:
    is_right = logits[:, :N_DIGITS].argmax(1) == labels
    scores = digit_score(logits[is_right] if is_right.any() else logits)
    return float(torch.quantile(scores, share))
