"""Random distortions."""

import dataclasses

import pytest
import torch
from torch import Tensor

from recognition.frame import INK_SIZE
from testing.tiny_mnist import make_digits
from training.augment import NO_DISTORTIONS, Augmentation, Distortions, deform
from training.recipes import DISTORTIONS


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    frames, labels = make_digits(60, seed=3)
    return torch.from_numpy(frames).float() / 255, torch.from_numpy(labels).long()


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def ink_box(frame: Tensor) -> tuple[int, int]:
    """Width and height of the ink."""
    rows, columns = (frame > 0.25).nonzero(as_tuple=True)
    return int(columns.max() - columns.min()) + 1, int(rows.max() - rows.min()) + 1


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


def test_each_sample_is_distorted_differently(digits: tuple[Tensor, Tensor]) -> None:
    same = digits[0][:1].repeat(20, 1, 1)
    deformed = deform(same, torch.ones(len(same)))
    assert len({tuple(frame.flatten().tolist()) for frame in deformed}) == len(deformed)


def test_deformed_ink_is_scaled_to_the_frame(digits: tuple[Tensor, Tensor]) -> None:
    longer = torch.tensor(
        [max(ink_box(frame)) for frame in deform(digits[0], torch.ones(len(digits[0])), elastic=False)]
    ).float()
    assert abs(float(longer.median()) - INK_SIZE) <= 1


def test_empty_frames_give_finite_numbers() -> None:
    empty = torch.zeros(40, 28, 28)
    distorted = Augmentation(Distortions())(empty, torch.full((40,), 10))
    assert torch.isfinite(distorted).all()
