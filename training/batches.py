"""Endless supply of training batches: distorted digits, and things that are none, already on the device."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from model import N_DIGITS
from training.augment import Distorter
from training.data import Digits
from training.nondigits import make_drawings, middles_of_digits, rows_of_digits, textures
from training.recipes import Recipe

# Of the non-digits in a batch: drawings, rows of digits, middles of digits; the rest are textures.
_DRAWINGS, _ROWS, _MIDDLES = 0.65, 0.2, 0.05
_N_DRAWINGS = 40_000


class Batches:
    """One epoch of `(frames, labels)` per iteration; digits in a new order each time, label 10 for what is none."""

    def __init__(self, digits: Digits, recipe: Recipe, seed: int) -> None:
        self.digits = digits
        self.n_nondigits = round(recipe.batch_size * recipe.nondigit_share)
        self.n_digits = recipe.batch_size - self.n_nondigits
        self._distort = Distorter(recipe.distortions)
        self._ambiguous = torch.isin(digits.labels, torch.tensor([0, 3, 8], device=digits.labels.device)).nonzero()[
            :, 0
        ]
        if self.n_nondigits:
            # Each takes 0.7 ms to draw, so a short training makes no more than it uses.
            n_used = round(recipe.epochs * len(self) * self.n_nondigits * _DRAWINGS)
            drawings = make_drawings(min(_N_DRAWINGS, n_used), digits.frames.cpu(), seed)
            self._drawings = drawings.to(digits.frames.device)

    def __len__(self) -> int:
        return len(self.digits) // self.n_digits

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        # An incomplete last batch is left out: it would weigh more per sample, and upset batch normalisation.
        order = torch.randperm(len(self.digits), device=self.digits.labels.device)
        for indices in order[: len(self) * self.n_digits].split(self.n_digits):
            frames, labels = self.digits.frames[indices] / 255, self.digits.labels[indices]
            if self.n_nondigits:
                frames = torch.cat([frames, self._nondigits()])
                labels = torch.cat([labels, labels.new_full((self.n_nondigits,), N_DIGITS)])
            yield self._distort(frames, labels), labels

    def _nondigits(self) -> Tensor:
        n = self.n_nondigits
        n_drawings, n_rows, n_middles = round(n * _DRAWINGS), round(n * _ROWS), round(n * _MIDDLES)
        everything = self.digits.frames
        drawings = _sample(self._drawings, n_drawings)
        rows = rows_of_digits(_sample(everything, n_rows))
        middles = middles_of_digits(everything[_sample(self._ambiguous, n_middles)] / 255)
        rest = textures(n - n_drawings - n_rows - n_middles, everything.device)
        return torch.cat([drawings / 255, rows / 255, middles, rest])


def _sample(items: Tensor, count: int) -> Tensor:
    return items[torch.randint(len(items), (count,), device=items.device)]
