"""Random values for the samples of a batch, and the states of PyTorch's generators, the only global ones in use."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def uniform(frames: Tensor, low: float, high: float) -> Tensor:
    """One value per frame, `[N]`, on the device of the frames."""
    return torch.empty(len(frames), device=frames.device).uniform_(low, high)


def bernoulli(frames: Tensor, p: float) -> Tensor:
    """True with probability `p` for each frame, bool `[N]`, on the device of the frames."""
    return torch.rand(len(frames), device=frames.device) < p


def get_random_state() -> dict[str, Any]:
    """The state of PyTorch's generators on all devices, as tensors."""
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Restore what `get_random_state` returned."""
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    if state["mps"] is not None:
        torch.mps.set_rng_state(state["mps"])
