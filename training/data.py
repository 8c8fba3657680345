"""Training digits from any mix of sources, as tensors, and their stratified, seeded splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

N_VALIDATION = 5_000
# All trainings keep the same digits for validation, whatever their own seed: what an ensemble is chosen by, or what a
# network distilled from it is calibrated on, no member has learned.
_SPLIT_SEED = 0


class DataError(Exception):
    """A data set is missing or damaged; the message is a sentence that says where it was looked for and what to do."""


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


def join_digits(parts: Sequence[Digits]) -> Digits:
    """All digits of all parts, one part after the other."""
    return Digits(torch.cat([part.frames for part in parts]), torch.cat([part.labels for part in parts]))


def split_digits(digits: Digits) -> tuple[Digits, Digits]:
    """Digits for training, and for validation: a tenth of them, 5,000 at most. Raises `DataError`."""
    if len(digits) < 2:
        raise DataError(f"{len(digits)} digits are too few to train on: some are kept for validation.")
    n_validation = min(N_VALIDATION, max(1, len(digits) // 10))
    training, validation = stratified_split(digits.labels, n_validation)
    return digits.select(training), digits.select(validation)


def stratified_split(labels: Tensor, n_validation: int) -> tuple[Tensor, Tensor]:
    """Indices for training and for validation, the latter with every digit in its share of the whole.

    They are random where there are too few digits for shares.
    """
    counts = labels.bincount()
    counts = counts[counts > 0]
    has_shares = min(n_validation, len(labels) - n_validation) >= len(counts) and int(counts.min()) > 1
    train, validation = train_test_split(
        np.arange(len(labels)),
        test_size=n_validation,
        random_state=_SPLIT_SEED,
        stratify=labels.numpy() if has_shares else None,
        shuffle=True,
    )
    return torch.from_numpy(np.sort(train)), torch.from_numpy(np.sort(validation))
