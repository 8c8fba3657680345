"""Teachers: trained networks whose averaged answers a network learns beside the labels (Hinton 2015, arXiv:1503.02531).

They see the same distorted batch as their pupil (Beyer et al. 2021, arXiv:2106.05237).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from model import Checkpoint, n_outputs
from training.recipes import ChoiceError, Recipe


class Teachers:
    """The averaged probabilities of several networks."""

    def __init__(self, checkpoints: Sequence[Checkpoint], device: torch.device) -> None:
        self.ids = [checkpoint.id for checkpoint in checkpoints]
        self._networks = [
            checkpoint.build().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            for checkpoint in checkpoints
        ]

    def check(self, background: bool) -> None:
        """Raise `ChoiceError` unless each teacher knows the classes that the pupil is to learn."""
        blank = torch.zeros(1, 28, 28, device=next(self._networks[0].parameters()).device)
        for name, network in zip(self.ids, self._networks, strict=True):
            with torch.inference_mode():
                n_classes = network(blank).shape[1]
            if n_classes != n_outputs(background):
                raise ChoiceError(f"Teacher {name} knows {n_classes} classes, and this recipe {n_outputs(background)}.")

    @torch.no_grad()
    def __call__(self, frames: Tensor) -> Tensor:
        """Probabilities `[N, classes]` of frames `[N, 28, 28]`."""
        total = torch.stack([torch.softmax(network(frames).float(), dim=1) for network in self._networks])
        return total.mean(0)


def loss_of(logits: Tensor, labels: Tensor, targets: Tensor | None, recipe: Recipe) -> Tensor:
    """Cross-entropy of logits `[N, classes]` with labels `[N]`, and with the teachers' `targets` if there are any."""
    hard = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
    if targets is None:
        return hard
    return torch.lerp(hard, F.cross_entropy(logits, targets), recipe.distill_weight)
