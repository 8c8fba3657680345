"""Random distortions."""

import dataclasses

import pytest
import torch
from torch import Tensor

from testing.tiny_mnist import make_digits
from training.augment import NO_DISTORTIONS, Augmentation, Distortions
from training.recipes import DISTORTIONS


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    frames, labels = make_digits(60, seed=3)
    return torch.from_numpy(frames).float() / 255, torch.from_numpy(labels).long()


def test_augmented_frames_are_valid_frames(digits: tuple[Tensor, Tensor]) -> None:
    distorted = Augmentation(Distortions())(*digits)
    assert distorted.shape == digits[0].shape
    assert distorted.min() >= 0
    assert distorted.max() <= 1
    assert (distorted.amax((1, 2)) > 0.2).float().mean() > 0.95


@pytest.mark.parametrize("name", DISTORTIONS)
def test_each_distortion_changes_something_on_its_own(name: str, digits: tuple[Tensor, Tensor]) -> None:
    only = dataclasses.replace(NO_DISTORTIONS, **{name: True})
    torch.manual_seed(1)
    plain = Augmentation(NO_DISTORTIONS)(*digits)
    torch.manual_seed(1)
    assert not torch.equal(Augmentation(only)(*digits), plain)


def test_empty_frames_give_finite_numbers() -> None:
    empty = torch.zeros(40, 28, 28)
    distorted = Augmentation(Distortions())(empty, torch.full((40,), 10))
    assert torch.isfinite(distorted).all()
