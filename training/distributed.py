"""The device to train on, and the processes that train one network together under torchrun.

torchrun --nproc-per-node=2 train_model.py
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from training.recipes import UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` takes the fastest available. Raises `UsageError` if it is not available."""
    is_available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, available in is_available.items() if available)
    if name not in is_available:
        raise UsageError(f"{name!r} is not a device; choose from {', '.join(DEVICES)}.")
    if not is_available[name]:
        available = ", ".join(kind for kind, available in is_available.items() if available)
        raise UsageError(f"PyTorch finds no {name} device here; available: {available}.")
    if name == "cuda":
        # The same seed gives the same weights, which it would not with cuDNN's search for the fastest convolution.
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
    return torch.device(name)


@dataclass(frozen=True, slots=True)
class World:
    """The rank of this process among the `size` processes that train together."""

    rank: int = 0
    size: int = 1

    @property
    def is_main_process(self) -> bool:
        """Whether this is the process that prints and writes files."""
        return self.rank == 0

    def all_reduce(self, values: Tensor) -> Tensor:
        """The sum of all processes' `values`."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def all_gather(self, value: Any) -> list[Any]:
        """All processes' `value`, by rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def broadcast(self, value: Any) -> Any:
        """The main process's `value`."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def process_group(device: torch.device) -> Iterator[World]:
    """Join the processes that torchrun started, if any, whose environment variables torch reads."""
    if not dist.is_torchelastic_launched():
        yield World()
        return
    if device.type == "cuda":
        torch.cuda.set_device(dist.get_node_local_rank())
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
