"""The split into training and validation digits."""

import pytest
import torch

from training.datasets import DataError, Digits, split_digits


def test_validation_digits_are_stratified() -> None:
    labels = torch.arange(1000) % 10
    numbered = Digits(torch.arange(1000), labels)
    training, validation = split_digits(numbered)
    assert validation.labels.bincount().tolist() == [10] * 10
    assert sorted([*training.frames.tolist(), *validation.frames.tolist()]) == list(range(1000))


def test_split_is_reproducible(digits: Digits) -> None:
    assert torch.equal(split_digits(digits)[1].frames, split_digits(digits)[1].frames)


@pytest.mark.parametrize("count", [2, 3, 15])
def test_few_digits_are_split_without_stratification(count: int, digits: Digits) -> None:
    training, validation = split_digits(digits.select(torch.arange(count)))
    assert len(validation) >= 1
    assert len(training) + len(validation) == count


def test_one_digit_cannot_be_split(digits: Digits) -> None:
    with pytest.raises(DataError, match="too few"):
        split_digits(digits.select(torch.arange(1)))
