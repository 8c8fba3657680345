"""The training loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.recipes import Recipe


def training_loss(logits: Tensor, labels: Tensor, targets: Tensor | None, recipe: Recipe) -> Tensor:
    """Label-smoothed cross-entropy, a scalar; with teachers, mixed with the cross-entropy to their predictions.

    logits `[B, C]`, labels `[B]`, targets `[B, C]`: probabilities from `training.ensemble.Teachers` (knowledge
    distillation, Hinton et al. 2015, arXiv:1503.02531).
    """
    loss = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
    if targets is None:
        return loss
    return torch.lerp(loss, F.cross_entropy(logits, targets), recipe.distill_weight)
