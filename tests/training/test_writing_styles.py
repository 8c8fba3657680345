"""Writing styles."""

import pytest
import torch

from training.datasets import Digits
from training.writing_styles import vary_writing_style


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_only_digits_with_several_styles_are_changed(digits: Digits) -> None:
    frames, labels = digits.frames / 255, digits.labels
    changed = (vary_writing_style(frames, labels) != frames).flatten(1).any(1)
    assert set(labels[changed].tolist()) <= {1, 4, 7, 9}
    assert changed.any()


def test_flag_adds_ink_to_a_stem_and_removes_none() -> None:
    stem = torch.zeros(50, 28, 28)
    stem[:, 4:24, 13:15] = 1
    flagged = vary_writing_style(stem, torch.ones(50, dtype=torch.long))
    assert (flagged >= stem).all()
    more = flagged.sum((1, 2)) > stem.sum((1, 2)) + 3
    assert 0.3 < more.float().mean() < 0.9
