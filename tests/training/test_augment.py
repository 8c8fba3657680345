"""Distortions and other ways to write a digit: what they may change, and what never."""

import dataclasses

import pytest
import torch
from torch import Tensor

from recognition.normalize import INK_SIZE
from testing.tiny_mnist import make_digits
from training.augment import NO_DISTORTIONS, Distorter, Distortions, move
from training.recipes import DISTORTIONS
from training.variants import rewrite


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    frames, labels = make_digits(60, seed=3)
    return torch.from_numpy(frames).float() / 255, torch.from_numpy(labels).long()


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def ink_box(frame: Tensor) -> tuple[int, int]:
    """Width and height of what is darker than a quarter."""
    rows, columns = (frame > 0.25).nonzero(as_tuple=True)
    return int(columns.max() - columns.min()) + 1, int(rows.max() - rows.min()) + 1


def test_frames_stay_frames(digits: tuple[Tensor, Tensor]) -> None:
    distorted = Distorter(Distortions())(*digits)
    assert distorted.shape == digits[0].shape
    assert distorted.min() >= 0
    assert distorted.max() <= 1
    assert (distorted.amax((1, 2)) > 0.2).float().mean() > 0.95


@pytest.mark.parametrize("name", DISTORTIONS)
def test_each_distortion_changes_something_on_its_own(name: str, digits: tuple[Tensor, Tensor]) -> None:
    only = dataclasses.replace(NO_DISTORTIONS, **{name: True})
    torch.manual_seed(1)
    plain = Distorter(NO_DISTORTIONS)(*digits)
    torch.manual_seed(1)
    assert not torch.equal(Distorter(only)(*digits), plain)


def test_samples_are_distorted_each_in_its_own_way(digits: tuple[Tensor, Tensor]) -> None:
    same = digits[0][:1].repeat(20, 1, 1)
    moved = move(same, torch.ones(len(same)))
    assert len({tuple(frame.flatten().tolist()) for frame in moved}) == len(moved)


def test_moved_ink_comes_back_into_the_geometry_of_frames(digits: tuple[Tensor, Tensor]) -> None:
    longer = torch.tensor(
        [max(ink_box(frame)) for frame in move(digits[0], torch.ones(len(digits[0])), elastic=False)]
    ).float()
    assert abs(float(longer.median()) - INK_SIZE) <= 1


def test_empty_frames_give_finite_numbers() -> None:
    empty = torch.zeros(40, 28, 28)
    distorted = Distorter(Distortions())(empty, torch.full((40,), 10))
    assert torch.isfinite(distorted).all()


def test_only_digits_with_another_way_are_rewritten(digits: tuple[Tensor, Tensor]) -> None:
    frames, labels = digits
    changed = (rewrite(frames, labels) != frames).flatten(1).any(1)
    assert set(labels[changed].tolist()) <= {1, 4, 7, 9}
    assert changed.any()


def test_a_flag_adds_ink_to_a_stem_and_takes_none() -> None:
    stem = torch.zeros(50, 28, 28)
    stem[:, 4:24, 13:15] = 1
    flagged = rewrite(stem, torch.ones(50, dtype=torch.long))
    assert (flagged >= stem).all()
    more = flagged.sum((1, 2)) > stem.sum((1, 2)) + 3
    assert 0.3 < more.float().mean() < 0.9
