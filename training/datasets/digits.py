"""Labelled digits in memory, and their split into training and validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

N_VALIDATION = 5_000
# Independent of the seed of a training, so that no member of an ensemble is trained on another's validation digits.
_SPLIT_SEED = 0


class DataError(Exception):
    """A data set is missing or damaged; the message says where it was expected and what to do."""


@dataclass(frozen=True, slots=True)
class Digits:
    """Labelled frames, all in memory: MNIST takes 47 MB."""

    frames: Tensor  # uint8 [N, 28, 28], 0 = paper, 255 = ink
    labels: Tensor  # int64 [N], 0 to 9

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: Tensor) -> Digits:
        """The digits at `indices`, in that order."""
        return Digits(self.frames[indices], self.labels[indices])

    def to(self, device: torch.device) -> Digits:
        """The same digits on `device`."""
        return Digits(self.frames.to(device), self.labels.to(device))


def split_digits(digits: Digits) -> tuple[Digits, Digits]:
    """Digits for training and for validation: a tenth of them, at most 5,000, stratified. Raises `DataError`."""
    if len(digits) < 2:
        raise DataError(f"{len(digits)} digits are too few to train on: some are kept for validation.")
    n_validation = min(N_VALIDATION, max(1, len(digits) // 10))
    counts = digits.labels.bincount()
    counts = counts[counts > 0]
    can_stratify = min(n_validation, len(digits) - n_validation) >= len(counts) and int(counts.min()) > 1
    training, validation = train_test_split(
        np.arange(len(digits)),
        test_size=n_validation,
        random_state=_SPLIT_SEED,
        stratify=digits.labels.numpy() if can_stratify else None,
    )
    training, validation = (torch.from_numpy(np.sort(indices)) for indices in (training, validation))
    return digits.select(training), digits.select(validation)
