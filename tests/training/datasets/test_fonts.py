"""Printed characters."""

from pathlib import Path

import pytest
import torch

from training import datasets
from training.datasets import Digits, load_split
from training.datasets.fonts import load_printed_digits, load_printed_letters


@pytest.fixture(scope="module")
def digits() -> Digits:
    return load_printed_digits()


@pytest.fixture(scope="module")
def letters() -> torch.Tensor:
    return load_printed_letters()


def test_digits_are_the_same_each_time_and_have_every_label(digits: Digits) -> None:
    assert digits.frames.shape == (2_000, 28, 28)
    assert digits.labels.bincount().tolist() == [200] * 10
    assert torch.equal(digits.frames, load_printed_digits().frames)


def test_frames_have_ink_and_differ(digits: Digits, letters: torch.Tensor) -> None:
    for frames in (digits.frames, letters):
        ink = frames.float().mean(dim=(1, 2)) / 255
        assert ((ink > 0.02) & (ink < 0.9)).float().mean() > 0.99
        assert len(frames.unique(dim=0)) > 0.98 * len(frames)


def test_printed_is_a_source_of_digits_and_of_non_digits(
    digits: Digits, letters: torch.Tensor, tiny_mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "load_printed_digits", lambda: digits)
    monkeypatch.setattr(datasets, "load_printed_letters", lambda: letters)
    split = load_split(["printed"], tiny_mnist, nondigits=["printed"])
    assert len(split.training.digits) + split.n_validation["printed"] == 2_000
    assert len(split.training.nondigits) == 6_000
