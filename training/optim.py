"""Optimizer, learning rate schedule and moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel

from training.recipes import Recipe

_WARM_UP = 0.05  # share of all steps; AdamW starts without an estimate of the gradients' size
_ONE_CYCLE_WARM_UP = 0.15


def build_optimizer(network: nn.Module, recipe: Recipe) -> Optimizer:
    """AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101)."""
    return AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)


def build_scheduler(optimizer: Optimizer, recipe: Recipe, n_steps: int) -> LRScheduler:
    """The recipe's schedule. It steps after each batch, `ReduceLROnPlateau` after each epoch."""
    match recipe.schedule:
        case "one-cycle":  # Smith and Topin 2017, arXiv:1708.07120
            return OneCycleLR(optimizer, recipe.lr, total_steps=max(2, n_steps), pct_start=_ONE_CYCLE_WARM_UP)
        case "cosine":  # Loshchilov and Hutter 2016, arXiv:1608.03983, without restarts
            return LambdaLR(optimizer, lambda step: cosine_with_warm_up(step, n_steps))
        case _:
            return ReduceLROnPlateau(optimizer, factor=0.3, patience=2)


def cosine_with_warm_up(step: int, n_steps: int) -> float:
    """Learning rate at `step` as a share of the highest: a linear warm-up, then a cosine to zero."""
    n_warm_up = max(1, round(_WARM_UP * n_steps))
    if step < n_warm_up:
        return (step + 1) / (n_warm_up + 1)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - n_warm_up) / max(1, n_steps - n_warm_up))))


def build_average(network: nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average of weights and batch-norm statistics, to be updated after each step."""
    return AveragedModel(network, avg_fn=_warmed_up_average(decay), use_buffers=True)


def _warmed_up_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """The window grows with the number of steps, so that the initial weights are soon forgotten."""

    def average(old: Tensor, new: Tensor, steps: Tensor | int) -> Tensor:
        if not old.is_floating_point():  # batch normalization's count of batches
            return new
        return torch.lerp(old, new, 1 - min(decay, (1 + int(steps)) / (10 + int(steps))))

    return average
