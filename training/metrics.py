"""How good predictions are: loss, accuracy, calibration, rejection."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import N_DIGITS, digit_probabilities, digit_score
from training.data import Digits

N_BINS = 15


@dataclass(frozen=True, slots=True)
class Scores:
    """Figures over a set of digits."""

    loss: float  # mean negative log-likelihood of the right digit, nats
    accuracy: float  # 0 to 1
    errors: int
    ece: float  # expected calibration error of the confidence, 0 to 1


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions whose confidence is from `low` to `high`; all but `n` from 0 to 1."""

    low: float
    high: float
    n: int
    confidence: float  # their mean
    accuracy: float


@torch.no_grad()
def predict_logits(network: nn.Module, digits: Digits, batch_size: int = 1000) -> Tensor:
    """Logits `[N, 10 or 11]` of a network in evaluation mode, on the CPU."""
    network.eval()
    return torch.cat([network(frames / 255).float().cpu() for frames in digits.frames.split(batch_size)])


def score(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> Scores:
    """Compare logits `[N, 10 or 11]` with labels `[N]`."""
    return score_probabilities(digit_probabilities(logits, temperature), labels)


def score_probabilities(probabilities: Tensor, labels: Tensor) -> Scores:
    """Compare probabilities `[N, 10]` with labels `[N]`."""
    labels = labels.cpu()
    right = probabilities.argmax(1) == labels
    return Scores(
        loss=F.nll_loss(probabilities.clamp(min=1e-12).log(), labels).item(),
        accuracy=right.float().mean().item(),
        errors=int((~right).sum()),
        ece=expected_calibration_error(probabilities.amax(1), right),
    )


def expected_calibration_error(confidence: Tensor, right: Tensor, n_bins: int = N_BINS) -> float:
    """Mean gap between confidence and accuracy over equal bins of confidence (Guo et al. 2017, arXiv:1706.04599)."""
    bins = calibration_bins(confidence, right, n_bins)
    return sum(item.n * abs(item.accuracy - item.confidence) for item in bins) / len(confidence)


def calibration_bins(confidence: Tensor, right: Tensor, n_bins: int = N_BINS) -> list[Bin]:
    """How often predictions of confidence `[N]` are right `[N]`, in equal bins of confidence without the empty ones."""
    place = (confidence * n_bins).long().clamp(max=n_bins - 1)
    counts = place.bincount(minlength=n_bins)
    confidences = torch.zeros(n_bins).index_add(0, place, confidence) / counts
    accuracies = torch.zeros(n_bins).index_add(0, place, right.float()) / counts
    return [
        Bin(
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
    """The temperature, 0.05 to 20, that gives the digits' logits `[N, 10 or 11]` the least negative log-likelihood."""
    log_temperature = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(logits[:, :N_DIGITS] / log_temperature.exp(), labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    # Where every digit is right, the likelihood grows without end as the temperature falls.
    return min(max(log_temperature.exp().item(), 0.05), 20.0)


def rejection_threshold(logits: Tensor, refused: float = 0.01) -> float:
    """The digit score below which a share `refused` of these true digits falls."""
    return float(torch.quantile(digit_score(logits), refused))
