"""Endless supply of training batches: distorted digits, and things that are none, already on the device."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from model import N_DIGITS
from training.augment import Distorter
from training.data import Digits
from training.distributed import World
from training.nondigits import make_drawings, middles_of_digits, rows_of_digits, textures, turned_digits
from training.recipes import Recipe

# Of the non-digits in a batch: drawings, turned digits, rows and middles of digits; the rest are textures.
_DRAWINGS, _TURNED, _ROWS, _MIDDLES = 0.55, 0.2, 0.12, 0.05
_N_DRAWINGS = 40_000
_N_TURNED = 20_000


class Batches:
    """Epochs of `(frames, labels)`; digits in a new order each time, label 10 for what is none.

    Each process of a world gets its shard of the digits, and batches smaller by the number of processes.
    """

    def __init__(self, digits: Digits, recipe: Recipe, seed: int, world: World = World()) -> None:  # noqa: B008
        self.digits = digits
        self._seed, self._world = seed, world
        share = recipe.nondigit_share
        n = max(1, min(recipe.batch_size // world.size, int(len(digits) / world.size / (1 - share))))
        self.n_nondigits = round(n * share)
        self.n_digits = max(1, n - self.n_nondigits)
        self._distort = Distorter(recipe.distortions)
        ambiguous = torch.isin(digits.labels, torch.tensor([0, 3, 8], device=digits.labels.device))
        self._ambiguous = ambiguous.nonzero()[:, 0]
        if self.n_nondigits:
            # Each takes 0.7 ms to draw, so a short training makes no more than it uses.
            n_used = max(1, recipe.epochs * len(self) * self.n_nondigits)
            n_drawings = min(_N_DRAWINGS, math.ceil(n_used * _DRAWINGS))
            drawings = make_drawings(n_drawings, digits.frames.cpu(), seed + world.rank)
            self._drawings = drawings.to(digits.frames.device)
            self._turned = turned_digits(min(_N_TURNED, math.ceil(n_used * _TURNED)), digits.frames, digits.labels)

    @property
    def n_samples(self) -> int:
        """Samples in an epoch, over all processes."""
        return len(self) * (self.n_digits + self.n_nondigits) * self._world.size

    def __len__(self) -> int:
        # An incomplete last batch is left out: it would weigh more per sample, and upset batch normalisation.
        return len(self.digits) // (self.n_digits * self._world.size)

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of one epoch from batch `start` on. The order depends on seed and number alone."""
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + number)
        order = torch.randperm(len(self.digits), generator=generator)[self._world.rank :: self._world.size]
        shard = order[start * self.n_digits : len(self) * self.n_digits].to(self.digits.labels.device)
        for indices in shard.split(self.n_digits):
            frames, labels = self.digits.frames[indices] / 255, self.digits.labels[indices]
            if self.n_nondigits:
                frames = torch.cat([frames, self._nondigits()])
                labels = torch.cat([labels, labels.new_full((self.n_nondigits,), N_DIGITS)])
            yield self._distort(frames, labels), labels

    def _nondigits(self) -> Tensor:
        n = self.n_nondigits
        # Where there is nothing to take from, as in very small data, textures stand in.
        n_drawings = round(n * _DRAWINGS) if len(self._drawings) else 0
        n_turned = round(n * _TURNED) if len(self._turned) else 0
        n_middles = round(n * _MIDDLES) if len(self._ambiguous) else 0
        n_rows = round(n * _ROWS)
        everything = self.digits.frames
        drawings = _sample(self._drawings, n_drawings)
        turned = _sample(self._turned, n_turned)
        rows = rows_of_digits(_sample(everything, n_rows))
        middles = middles_of_digits(everything[_sample(self._ambiguous, n_middles)] / 255)
        rest = textures(n - n_drawings - n_turned - n_rows - n_middles, everything.device)
        return torch.cat([drawings / 255, turned / 255, rows / 255, middles, rest])


def _sample(items: Tensor, count: int) -> Tensor:
    return items[torch.randint(max(1, len(items)), (count,), device=items.device)]
