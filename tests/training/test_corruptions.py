"""Corruptions of frames."""

import numpy as np
import pytest

from testing.tiny_mnist import make_digits
from training.corruptions import CORRUPTIONS


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruption_changes_frames_within_their_range(name: str) -> None:
    frames = make_digits(10, seed=0)[0].astype(np.float32) / np.float32(255)
    before = frames.copy()
    corrupted = CORRUPTIONS[name](frames, np.random.default_rng(0))
    assert np.array_equal(frames, before)
    assert corrupted.shape == frames.shape
    assert corrupted.dtype == np.float32
    assert corrupted.min() >= 0
    assert corrupted.max() <= 1
    assert not np.array_equal(corrupted, frames)
