"""Random values, one per sample of a batch, on the device of its frames."""

from __future__ import annotations

import torch
from torch import Tensor


def uniform(frames: Tensor, low: float, high: float) -> Tensor:
    """One random value per sample, `[N]`."""
    return torch.empty(len(frames), device=frames.device).uniform_(low, high)


def chosen(frames: Tensor, share: float) -> Tensor:
    """True for about `share` of the samples, bool `[N]`."""
    return torch.rand(len(frames), device=frames.device) < share
