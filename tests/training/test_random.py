"""The state of the random number generators."""

import random

import numpy as np
import torch

from training.random import get_random_state, seed_everything, set_random_state


def test_random_state_is_restored() -> None:
    torch.rand(3), np.random.rand(3), random.random()
    state = get_random_state()
    first = torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random(), random.gauss(0, 1)
    set_random_state(state)
    assert (torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random(), random.gauss(0, 1)) == first


def test_seed_decides_all_generators() -> None:
    drawn = []
    for _ in range(2):
        seed_everything(7)
        drawn.append((torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()))
    assert drawn[0] == drawn[1]
