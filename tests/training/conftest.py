"""Digits that several modules are tested on."""

import pytest
import torch

from testing.tiny_mnist import make_digits
from training.datasets import Digits


@pytest.fixture(scope="session")
def digits() -> Digits:
    """100 handwritten digits, ten of each."""
    frames, labels = make_digits(100, seed=0)
    return Digits(torch.from_numpy(frames), torch.from_numpy(labels).long())


@pytest.fixture(autouse=True)
def _torch_settings() -> None:
    """The same random values each time, on one thread: on several, tiny batches are slower."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
