"""Epochs of batches: order, shards, and the share of non-digits."""

import torch

from training.augment import NO_DISTORTIONS
from training.batches import BatchLoader
from training.datasets import Digits
from training.distributed import World
from training.recipes import Recipe


def plain(batch_size: int, nondigit_share: float = 0.0) -> Recipe:
    return Recipe(batch_size=batch_size, nondigit_share=nondigit_share, distortions=NO_DISTORTIONS, epochs=1)


def test_each_epoch_has_each_digit_at_most_once_in_another_order(digits: Digits) -> None:
    numbered = Digits(digits.frames, torch.arange(100))  # labels that tell the digits apart
    batches = BatchLoader(numbered, plain(32), seed=0)
    first, second = ([int(i) for _, labels in batches.epoch(n) for i in labels] for n in (1, 2))
    assert len(first) == len(set(first)) == 96
    assert first != second
    assert first == [int(i) for _, labels in batches.epoch(1) for i in labels]


def test_epoch_continues_at_any_batch(digits: Digits) -> None:
    batches = BatchLoader(Digits(digits.frames, torch.arange(100)), plain(32), seed=0)
    whole = [labels.tolist() for _, labels in batches.epoch(3)]
    assert [labels.tolist() for _, labels in batches.epoch(3, start=1)] == whole[1:]


def test_processes_get_disjoint_shards_of_an_epoch(digits: Digits) -> None:
    numbered = Digits(digits.frames, torch.arange(100))
    shards = []
    for rank in range(2):
        batches = BatchLoader(numbered, plain(32), seed=0, world=World(rank, 2))
        shards.append({int(i) for _, labels in batches.epoch(1) for i in labels})
        assert (len(batches), batches.n_digits, batches.n_samples) == (3, 16, 96)
    assert not shards[0] & shards[1]


def test_batch_has_its_share_of_non_digits(digits: Digits) -> None:
    batches = BatchLoader(digits, plain(40, nondigit_share=0.25), seed=0)
    frames, labels = next(iter(batches.epoch(1)))
    assert int((labels == 10).sum()) == 10
    assert frames.shape == (40, 28, 28)
    assert float(frames.min()) >= 0
    assert float(frames.max()) <= 1


def test_fewer_digits_than_a_batch_make_one_batch(digits: Digits) -> None:
    batches = BatchLoader(digits.select(torch.arange(10)), plain(256, nondigit_share=0.2), seed=0)
    assert [len(labels) for _, labels in batches.epoch(1)] == [12]
