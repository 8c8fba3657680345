"""What a training run does, as one frozen value, and the named recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from training.augment import NO_DISTORTIONS, Distortions


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All choices of one training run but the data and the seed."""

    architecture: str = "cnn"
    arguments: Mapping[str, int | float | bool] = field(default_factory=dict)
    epochs: int = 20
    batch_size: int = 256
    lr: float = 4e-3  # the highest of the schedule
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    ema_decay: float = 0.999  # per step, over weights and batch-norm buffers
    max_gradient_norm: float = 5.0
    nondigit_share: float = 0.2  # of each batch; 0 trains no background class
    distortions: Distortions = field(default_factory=Distortions)


RECIPES: Mapping[str, Recipe] = {
    "fast": Recipe(
        arguments={"width": 16}, epochs=3, ema_decay=0.98, lr=8e-3, nondigit_share=0.1, distortions=NO_DISTORTIONS
    ),
    "default": Recipe(),
    "best": Recipe(epochs=40, ema_decay=0.9995),
}
