"""Random values for the samples of a batch, and the seeds and states of all random number generators."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor


def uniform(frames: Tensor, low: float, high: float) -> Tensor:
    """One value per frame, `[N]`, on the device of the frames."""
    return torch.empty(len(frames), device=frames.device).uniform_(low, high)


def bernoulli(frames: Tensor, p: float) -> Tensor:
    """True with probability `p` for each frame, bool `[N]`, on the device of the frames."""
    return torch.rand(len(frames), device=frames.device) < p


def seed_everything(seed: int) -> None:
    """Seed the generators of PyTorch, NumPy and Python."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def get_random_state() -> dict[str, Any]:
    """The state of every generator of this process, as plain values and tensors."""
    # NumPy's legacy generator: a name, an array, and three numbers.
    name, keys, *rest = np.random.get_state(legacy=True)
    version, internal, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
        "python": [version, list(internal), gauss],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Restore what `get_random_state` returned."""
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    if state["mps"] is not None:
        torch.mps.set_rng_state(state["mps"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
