"""Labelled digits in memory, and their split into training and validation."""

from __future__ import annotations

from collections.abc import Sequence
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
    writers: Sequence[str] | None = None  # of each digit

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: Tensor) -> Digits:
        """The digits at `indices`, in that order, without their writers."""
        return Digits(self.frames[indices], self.labels[indices])

    def to(self, device: torch.device) -> Digits:
        """The same digits on `device`."""
        return Digits(self.frames.to(device), self.labels.to(device))


def split_digits(digits: Digits) -> tuple[Digits, Digits]:
    """Digits for training and for validation, as `split_indices` divides them. Raises `DataError`."""
    training, validation = split_indices(digits.labels, digits.writers)
    return digits.select(training), digits.select(validation)


def split_indices(labels: Tensor, writers: Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
    """Indices for training and for validation: a tenth, at most 5,000. Raises `DataError`.

    Where the writers are known, no writer is in both; else both have the same share of each digit.
    """
    if len(labels) < 2:
        raise DataError(f"{len(labels)} digits are too few to train on: some are kept for validation.")
    n_validation = min(N_VALIDATION, max(1, len(labels) // 10))
    if writers is not None and len(set(writers)) > 1:
        return _split_by_writer(writers, n_validation)
    counts = labels.bincount()
    counts = counts[counts > 0]
    can_stratify = min(n_validation, len(labels) - n_validation) >= len(counts) and int(counts.min()) > 1
    training, validation = train_test_split(
        np.arange(len(labels)),
        test_size=n_validation,
        random_state=_SPLIT_SEED,
        stratify=labels.numpy() if can_stratify else None,
    )
    training, validation = (torch.from_numpy(np.sort(indices)) for indices in (training, validation))
    return training, validation


def _split_by_writer(writers: Sequence[str], n_validation: int) -> tuple[Tensor, Tensor]:
    """Writers at random for validation, until it has `n_validation` samples."""
    names, owner, counts = np.unique(np.array(writers), return_inverse=True, return_counts=True)
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(names))
    n_writers = int(np.searchsorted(counts[order].cumsum(), n_validation)) + 1
    is_validation = torch.from_numpy(np.isin(owner, order[: min(n_writers, len(names) - 1)]))
    return (~is_validation).nonzero()[:, 0], is_validation.nonzero()[:, 0]
