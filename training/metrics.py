"""Metrics of predictions: loss, accuracy, errors, calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import digit_probabilities
from training.calibration import expected_calibration_error
from training.datasets import Digits


@dataclass(frozen=True, slots=True)
class Metrics:
    """Metrics over a set of digits."""

    loss: float  # mean negative log-likelihood of the true digit, nats
    accuracy: float  # 0 to 1
    errors: int
    ece: float  # expected calibration error of the confidence, 0 to 1


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
