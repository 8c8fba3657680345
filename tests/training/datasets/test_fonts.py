"""Printed characters."""

from pathlib import Path

import pytest
import torch

from training.datasets import load_split
from training.datasets.fonts import load_printed_digits, load_printed_letters


def test_digits_are_the_same_each_time_and_have_every_label() -> None:
    digits = load_printed_digits()
    assert digits.frames.shape == (2_000, 28, 28)
    assert digits.labels.bincount().tolist() == [200] * 10
    assert torch.equal(digits.frames, load_printed_digits().frames)


@pytest.mark.parametrize("frames", [load_printed_digits().frames, load_printed_letters()], ids=["digits", "letters"])
def test_frames_have_ink_and_differ(frames: torch.Tensor) -> None:
    ink = frames.float().mean(dim=(1, 2)) / 255
    assert ((ink > 0.02) & (ink < 0.9)).float().mean() > 0.99
    assert len(frames.unique(dim=0)) > 0.98 * len(frames)


def test_printed_is_a_source_of_digits_and_of_non_digits(tiny_mnist: Path) -> None:
    split = load_split(["printed"], tiny_mnist, nondigits=["printed"])
    assert len(split.training.digits) + split.n_validation["printed"] == 2_000
    assert len(split.training.nondigits) == 6_000
