"""Metrics of predictions: loss, accuracy, calibration; and the temperature and threshold fitted on validation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import N_DIGITS, digit_probabilities, digit_score
from training.datasets import Digits

N_BINS = 15


@dataclass(frozen=True, slots=True)
class Metrics:
    """Metrics over a set of digits."""

    loss: float  # mean negative log-likelihood of the true digit, nats
    accuracy: float  # 0 to 1
    errors: int
    ece: float  # expected calibration error of the confidence, 0 to 1


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Predictions whose confidence is between `low` and `high`."""

    low: float
    high: float
    n: int
    confidence: float  # mean
    accuracy: float


@torch.no_grad()
def predict_logits(network: nn.Module, digits: Digits, batch_size: int = 1000) -> Tensor:
    """Logits `[N, 10 or 11]` of a network in evaluation mode, on the CPU."""
    network.eval()
    return torch.cat([network(frames / 255).float().cpu() for frames in digits.frames.split(batch_size)])


def compute_metrics(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> Metrics:
    """Compare logits `[N, 10 or 11]` with labels `[N]`."""
    return compute_probability_metrics(digit_probabilities(logits, temperature), labels)


def compute_probability_metrics(probabilities: Tensor, labels: Tensor) -> Metrics:
    """Compare probabilities `[N, 10]` with labels `[N]`."""
    labels = labels.cpu()
    correct = probabilities.argmax(1) == labels
    return Metrics(
        loss=F.nll_loss(probabilities.clamp(min=1e-12).log(), labels).item(),
        accuracy=correct.float().mean().item(),
        errors=int((~correct).sum()),
        ece=expected_calibration_error(probabilities.amax(1), correct),
    )


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


def rejection_threshold(logits: Tensor, share: float = 0.01) -> float:
    """The digit score below which this share of the digits with logits `[N, 10 or 11]` falls."""
    return float(torch.quantile(digit_score(logits), share))
