"""The preprocessing returns the reference frames; `python -m tests.golden.frames` regenerates them."""

import numpy as np
import pytest

from tests.golden.frames import FOLDER, ROWS, unpack


@pytest.mark.parametrize("name", ROWS)
def test_frames_equal_the_references(name: str) -> None:
    stored, made = unpack(FOLDER / name), np.stack(ROWS[name]())
    assert made.shape == stored.shape
    change = np.abs(made - stored).max(axis=(1, 2))
    assert change.max() < 1e-3, f"frames {np.flatnonzero(change >= 1e-3).tolist()} of {name} have changed"
