"""Epochs of batches: order, shards, and the share of non-digits."""

from pathlib import Path

import numpy as np
import torch

from recognition.strokes import trace
from testing.handwriting import DIGITS
from training.augment import NO_DISTORTIONS
from training.batches import BatchLoader
from training.composed_pictures import compose
from training.datasets import Digits, TrainingSet
from training.datasets.drawings import Drawings
from training.distributed import World
from training.recipes import Recipe


def plain(batch_size: int, nondigit_share: float = 0.0) -> Recipe:
    return Recipe(batch_size=batch_size, nondigit_share=nondigit_share, distortions=NO_DISTORTIONS, epochs=1)


def test_each_epoch_has_each_digit_at_most_once_in_another_order(digits: Digits) -> None:
    numbered = Digits(digits.frames, torch.arange(100))  # labels that tell the digits apart
    batches = BatchLoader(TrainingSet(numbered), plain(32), seed=0)
    first, second = ([int(i) for _, labels in batches.epoch(n) for i in labels] for n in (1, 2))
    assert len(first) == len(set(first)) == 96
    assert first != second
    assert first == [int(i) for _, labels in batches.epoch(1) for i in labels]


def test_epoch_continues_at_any_batch(digits: Digits) -> None:
    batches = BatchLoader(TrainingSet(Digits(digits.frames, torch.arange(100))), plain(32), seed=0)
    whole = [labels.tolist() for _, labels in batches.epoch(3)]
    assert [labels.tolist() for _, labels in batches.epoch(3, start=1)] == whole[1:]


def test_processes_get_disjoint_shards_of_an_epoch(digits: Digits) -> None:
    numbered = Digits(digits.frames, torch.arange(100))
    shards = []
    for rank in range(2):
        batches = BatchLoader(TrainingSet(numbered), plain(32), seed=0, world=World(rank, 2))
        shards.append({int(i) for _, labels in batches.epoch(1) for i in labels})
        assert (len(batches), batches.n_digits, batches.n_samples) == (3, 16, 96)
    assert not shards[0] & shards[1]


def test_batch_has_its_share_of_non_digits(digits: Digits) -> None:
    batches = BatchLoader(TrainingSet(digits), plain(40, nondigit_share=0.25), seed=0)
    frames, labels = next(iter(batches.epoch(1)))
    assert int((labels == 10).sum()) == 10
    assert frames.shape == (40, 28, 28)
    assert float(frames.min()) >= 0
    assert float(frames.max()) <= 1


def test_fewer_digits_than_a_batch_make_one_batch(digits: Digits) -> None:
    batches = BatchLoader(TrainingSet(digits.select(torch.arange(10))), plain(256, nondigit_share=0.2), seed=0)
    assert [len(labels) for _, labels in batches.epoch(1)] == [12]


def test_drawings_are_rendered_differently_in_each_epoch(digits: Digits) -> None:
    lines = [trace([np.array(stroke) for stroke in drawing]) for drawing in DIGITS.values()]
    drawings = Drawings(lines, torch.arange(10))
    training = TrainingSet(digits.select(torch.arange(0)), drawings=drawings)
    batches = BatchLoader(training, plain(10), seed=0)
    first, again, second = (next(iter(batches.epoch(number))) for number in (1, 1, 2))
    assert sorted(first[1].tolist()) == list(range(10))
    assert torch.equal(first[1], again[1])
    by_label = [frames[labels.argsort()] for frames, labels in (first, second)]
    assert not torch.equal(*by_label)


def test_batch_has_real_and_composed_non_digits(digits: Digits, tmp_path: Path) -> None:
    real = torch.full((3, 28, 28), 77, dtype=torch.uint8)
    training = TrainingSet(digits, nondigits=real, composed=compose(digits, 20, 0, tmp_path))
    batches = BatchLoader(training, plain(100, nondigit_share=0.5), seed=0)
    assert (batches.n_nondigits, batches._n_real, batches._n_wrong) == (50, 21, 8)
    sampled = batches._sample_nondigits()
    assert int((sampled == 77 / 255).flatten(1).all(1).sum()) == 21


def test_a_few_real_non_digits_do_not_fill_the_batches(digits: Digits) -> None:
    real = torch.full((1, 28, 28), 77, dtype=torch.uint8)
    of_one, of_three = (TrainingSet(digits, nondigits=real.repeat(count, 1, 1)) for count in (1, 3))
    # 20 batches with 5 non-digits: each real one 20 times an epoch, instead of 40 times in total.
    batches = [BatchLoader(training, plain(10, nondigit_share=0.5), seed=0) for training in (of_one, of_three)]
    assert [(len(each), each._n_real) for each in batches] == [(20, 1), (20, 2)]
