"""Inference with PyTorch, for training, evaluation, and servers without ONNX Runtime.

The only module of the server that imports torch and `checkpoint`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from checkpoint import Checkpoint, parse_checkpoint

__all__ = ["TorchEngine", "parse_checkpoint"]


class TorchEngine:
    """Runs a checkpoint's network with PyTorch on the CPU. Thread-safe."""

    name: Literal["torch"] = "torch"

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.info = checkpoint.info
        # In channels-last order one frame is convolved and pooled in half the time.
        self._network = checkpoint.build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def logits(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine`."""
        # This number is per calling thread in OpenMP. Otherwise each thread of a server would start its own thread
        # pool, which makes it five times as slow on a busy machine.
        torch.set_num_threads(1)
        with torch.inference_mode():
            logits: NDArray[np.float32] = self._network(torch.from_numpy(frames)).numpy()
        return logits
