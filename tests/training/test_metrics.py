"""Accuracy and loss."""

import numpy as np
import pytest
import torch

from training.metrics import compute_metrics


def test_metrics_of_two_predictions() -> None:
    logits = torch.log(torch.tensor([[0.7, 0.3] + [1e-9] * 8, [0.6, 0.4] + [1e-9] * 8]))
    metrics = compute_metrics(logits, torch.tensor([0, 1]))
    assert (metrics.accuracy, metrics.errors) == (0.5, 1)
    assert metrics.loss == pytest.approx(-(np.log(0.7) + np.log(0.4)) / 2, abs=1e-5)
