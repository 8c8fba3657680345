"""Learning rates over a training."""

from __future__ import annotations

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

from training.recipes import Recipe

_WARM_UP = 0.05  # of all steps: adaptive optimizers start from no knowledge of the gradients' size
_ONE_CYCLE_RISE = 0.15


class Schedule:
    """The learning rate of an optimizer, told of each step and of each epoch's validation loss."""

    def __init__(self, optimizer: Optimizer, recipe: Recipe, n_steps: int) -> None:
        self._optimizer = optimizer
        self._by_step: LambdaLR | OneCycleLR | None = None
        self._by_epoch: ReduceLROnPlateau | None = None
        match recipe.schedule:
            case "one-cycle":  # Smith and Topin 2017, arXiv:1708.07120
                self._by_step = OneCycleLR(optimizer, recipe.lr, total_steps=max(2, n_steps), pct_start=_ONE_CYCLE_RISE)
            case "cosine":  # Loshchilov and Hutter 2016, arXiv:1608.03983, without restarts
                self._by_step = LambdaLR(optimizer, lambda step: cosine(step, n_steps))
            case "plateau":
                self._by_epoch = ReduceLROnPlateau(optimizer, factor=0.3, patience=2)

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def step(self) -> None:
        """One batch is done."""
        if self._by_step is not None:
            self._by_step.step()

    def end_epoch(self, validation_loss: float) -> None:
        """One epoch is done."""
        if self._by_epoch is not None:
            self._by_epoch.step(validation_loss)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` continues from."""
        chosen = self._by_step or self._by_epoch
        return chosen.state_dict() if chosen is not None else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state` was taken."""
        chosen = self._by_step or self._by_epoch
        if chosen is not None:
            chosen.load_state_dict(state)


def cosine(step: int, n_steps: int) -> float:
    """The share of the highest learning rate at `step` of `n_steps`: a short straight rise, then a cosine to zero."""
    n_rising = max(1, round(_WARM_UP * n_steps))
    if step < n_rising:
        return (step + 1) / (n_rising + 1)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - n_rising) / max(1, n_steps - n_rising))))
