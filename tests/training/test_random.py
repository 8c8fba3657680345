"""The state of the random number generators."""

import torch

from training.random import get_random_state, set_random_state


def test_random_state_is_restored() -> None:
    torch.rand(3)
    state = get_random_state()
    first = torch.rand(3).tolist()
    set_random_state(state)
    assert torch.rand(3).tolist() == first
