"""The front end gives the frames that are stored; `python -m tests.golden.frames` renews them."""

import numpy as np
import pytest

from tests.golden.frames import FOLDER, ROWS, unpack


@pytest.mark.parametrize("name", ROWS)
def test_frames_are_as_stored(name: str) -> None:
    stored, made = unpack(FOLDER / name), np.stack(ROWS[name]())
    assert made.shape == stored.shape
    moved = np.abs(made - stored).max(axis=(1, 2))
    assert moved.max() < 1e-3, f"frames {np.flatnonzero(moved >= 1e-3).tolist()} of {name} are not as stored"
