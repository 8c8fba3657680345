"""Training batches: augmented digits and non-digits, on the device."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from model_file import N_DIGITS
from training.augment import Augmentation
from training.datasets import Digits, TrainingSet
from training.distributed import World
from training.nondigits import cropped_digits, digit_rows, make_drawings, textures, turned_digits
from training.recipes import Recipe

# Shares of the generated non-digits in a batch; the rest are textures.
_DRAWINGS, _TURNED, _ROWS, _CROPS = 0.55, 0.2, 0.12, 0.05
_N_DRAWINGS = 40_000
_N_TURNED = 20_000
# A few real non-digits, such as corrections, must not be a large part of all non-digits that a network learns.
_MAX_REPEATS = 20  # of a real non-digit in an epoch, on average; but each batch has at least one
_SHOW_COMPOSED = 0.4  # of the digits of which pictures were composed, in each epoch


class BatchLoader:
    """Epochs of `(frames, labels)`: the digits in random order, and non-digits with label 10.

    In each epoch, drawings are rendered with other pens, and some digits are shown as the front end found them in a
    composed picture. With several processes, each gets its own shard of the digits; the batch size is divided by their
    number.
    """

    def __init__(
        self,
        training: TrainingSet,
        recipe: Recipe,
        seed: int,
        world: World = World(),  # noqa: B008
        device: torch.device | None = None,
    ) -> None:
        self.device = device or training.digits.frames.device
        self._training, self._composed = training, training.composed
        self._seed, self._world = seed, world
        share = recipe.nondigit_share
        n = max(1, min(recipe.batch_size // world.size, int(len(training) / world.size / (1 - share))))
        self.n_nondigits = round(n * share)
        self.n_digits = max(1, n - self.n_nondigits)
        self._augment = Augmentation(recipe.distortions)
        self._prepare_epoch(0)
        if self.n_nondigits:
            self._choose_shares(recipe)
            self._make_nondigits(recipe.epochs * len(self) * self.n_nondigits, seed + world.rank)

    @property
    def n_samples(self) -> int:
        """Samples in an epoch, over all processes."""
        return len(self) * (self.n_digits + self.n_nondigits) * self._world.size

    def __len__(self) -> int:
        # The incomplete last batch is dropped: its samples would have more weight, and disturb batch normalization.
        return len(self._training) // (self.n_digits * self._world.size)

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of one epoch from batch `start` on: frames `[B, 28, 28]` in 0..1, labels `[B]` in 0..10.

        The order depends only on the seed and the epoch's number.
        """
        self._prepare_epoch(number)
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + number)
        order = torch.randperm(len(self._training), generator=generator)[self._world.rank :: self._world.size]
        shard = order[start * self.n_digits : len(self) * self.n_digits].to(self.device)
        for indices in shard.split(self.n_digits):
            frames, labels = self.digits.frames[indices] / 255, self.digits.labels[indices]
            if self.n_nondigits:
                frames = torch.cat([frames, self._sample_nondigits()])
                labels = torch.cat([labels, labels.new_full((self.n_nondigits,), N_DIGITS)])
            yield self._augment(frames, labels), labels

    def _prepare_epoch(self, number: int) -> None:
        """The frames of all digits and real non-digits for this epoch."""
        rng = np.random.default_rng([self._seed, number])
        digits, drawings = self._training.digits, self._training.drawings
        frames = digits.frames
        if self._composed is not None and len(self._composed.source):
            shown = torch.from_numpy(rng.random(len(self._composed.source)) < _SHOW_COMPOSED)
            frames = frames.clone()
            frames[self._composed.source[shown]] = self._composed.right[shown]
        self.digits = Digits(torch.cat([frames, drawings.vary(rng)]), torch.cat([digits.labels, drawings.labels])).to(
            self.device
        )
        nondigits = [self._training.nondigits, self._training.nondigit_drawings.vary(rng)]
        self._real = torch.cat(nondigits).to(self.device)

    def _choose_shares(self, recipe: Recipe) -> None:
        """How many of a batch's non-digits are real, wrong candidates of composed pictures, and generated."""
        n_wrong = 0 if self._composed is None else len(self._composed.wrong)
        most_real = max(1, _MAX_REPEATS * len(self._real) // max(1, len(self) * self._world.size))
        self._n_real = min(round(self.n_nondigits * recipe.real_share), most_real) if len(self._real) else 0
        self._n_wrong = round(self.n_nondigits * recipe.composed_share) if n_wrong else 0

    def _make_nondigits(self, n_used: int, seed: int) -> None:
        """Make the non-digits that batches sample from, at most `n_used`: a drawing takes 0.7 ms."""
        frames, labels = self.digits.frames, self.digits.labels
        n_drawings = min(_N_DRAWINGS, math.ceil(max(1, n_used) * _DRAWINGS))
        self._drawings = make_drawings(n_drawings, frames.cpu(), seed).to(self.device)
        self._turned = turned_digits(min(_N_TURNED, math.ceil(max(1, n_used) * _TURNED)), frames, labels)
        self._wrong = self._drawings[:0] if self._composed is None else self._composed.wrong.to(self.device)
        # The middle of any other digit may look like a 1.
        self._croppable = torch.isin(labels, labels.new_tensor([0, 3, 8])).nonzero()[:, 0]

    def _sample_nondigits(self) -> Tensor:
        """Frames `[n_nondigits, 28, 28]` in 0..1."""
        n = self.n_nondigits - self._n_real - self._n_wrong
        # A very small data set may have nothing to sample from; textures are used instead.
        n_drawings = round(n * _DRAWINGS) if len(self._drawings) else 0
        n_turned = round(n * _TURNED) if len(self._turned) else 0
        n_crops = round(n * _CROPS) if len(self._croppable) else 0
        n_rows = round(n * _ROWS)
        found = [_sample(self._real, self._n_real), _sample(self._wrong, self._n_wrong)]
        drawings = _sample(self._drawings, n_drawings)
        turned = _sample(self._turned, n_turned)
        rows = digit_rows(_sample(self.digits.frames, n_rows))
        crops = cropped_digits(self.digits.frames[_sample(self._croppable, n_crops)])
        rest = textures(n - n_drawings - n_turned - n_rows - n_crops, self.device)
        return torch.cat([torch.cat([*found, drawings, turned, rows, crops]) / 255, rest])


def _sample(items: Tensor, count: int) -> Tensor:
    """A sample of `count` items with replacement."""
    return items[torch.randint(max(1, len(items)), (count,), device=items.device)]
