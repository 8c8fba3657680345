"""The split into training and validation digits."""

import pytest
import torch

from training.datasets import DataError, Digits, split_digits
from training.datasets.digits import split_indices


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


def test_no_writer_is_in_both_parts() -> None:
    writers = [f"writer {index % 12}" for index in range(600)]
    training, validation = split_indices(torch.arange(600) % 10, writers)
    assert len(training) + len(validation) == 600
    assert not {index % 12 for index in training.tolist()} & {index % 12 for index in validation.tolist()}
    assert 50 <= len(validation) <= 100
