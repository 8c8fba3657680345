"""Inference: NumPy frames in, NumPy logits out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from model import N_DIGITS, Checkpoint


class TorchEngine:
    """Runs a checkpoint's network with PyTorch on the CPU. Thread-safe."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        # In channels-last order one frame is convolved and pooled in half the time.
        self._network = checkpoint.build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def logits(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits `[N, 10 or 11]` of frames `[N, 28, 28]`."""
        # This number is per calling thread in OpenMP. Otherwise each thread of a server would start its own thread
        # pool, which makes it five times as slow on a busy machine.
        torch.set_num_threads(1)
        with torch.inference_mode():
            logits: NDArray[np.float32] = self._network(torch.from_numpy(frames)).numpy()
        return logits


# NumPy versions of digit_score and digit_probabilities in model.py.


def digit_scores(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much each input looks like a digit: `[N]` from logits `[N, 10 or 11]`, higher = more."""
    energy = _logsumexp(logits[:, :N_DIGITS])
    return energy - logits[:, N_DIGITS] if logits.shape[1] > N_DIGITS else energy


def digit_probabilities(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Calibrated probability `[N, 10]` of each digit, given that the frame shows one."""
    digits = logits[:, :N_DIGITS] / np.float32(temperature)
    exponentials = np.exp(digits - digits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float32] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def log_odds(logits: NDArray[np.float32], temperature: float, digit: int) -> NDArray[np.float32]:
    """Calibrated log-odds `[N]`, in nats, of `digit` against the nine others, from logits `[N, 10 or 11]`."""
    digits = logits[:, :N_DIGITS] / np.float32(temperature)
    odds: NDArray[np.float32] = digits[:, digit] - _logsumexp(np.delete(digits, digit, axis=1))
    return odds


def _logsumexp(values: NDArray[np.float32]) -> NDArray[np.float32]:
    highest = values.max(axis=1, keepdims=True)
    sums: NDArray[np.float32] = np.log(np.exp(values - highest).sum(axis=1)) + highest[:, 0]
    return sums
