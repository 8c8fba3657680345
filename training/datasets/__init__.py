"""Data sets of labelled digits, by the names that `--data` takes.

    split = load_split(["mnist", "folder:photos"], Path("data"))

To add a data set, write a `Loader` and name it in `DATASETS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from training.datasets.digits import DataError, Digits, split_digits
from training.datasets.folder import abbreviate, load_folder
from training.datasets.mnist import load_emnist_digits, load_mnist, load_qmnist, load_usps

__all__ = [
    "DATASETS",
    "FOLDER",
    "DataError",
    "Digits",
    "Loader",
    "Split",
    "abbreviate",
    "load_mnist",
    "load_split",
    "split_digits",
]

FOLDER = "folder:"  # followed by the path of a folder with sub-folders 0 to 9 of pictures


class Loader(Protocol):
    """Loads the training or test digits of a published data set, downloading them where missing."""

    def __call__(self, root: Path, *, train: bool) -> Digits:
        """Raises `DataError`."""


DATASETS: Mapping[str, Loader] = {
    "mnist": load_mnist,
    "emnist-digits": load_emnist_digits,
    "qmnist": load_qmnist,
    "usps": load_usps,
}


@dataclass(frozen=True, slots=True)
class Split:
    """Training digits, validation digits for every choice, and test digits, used once at the end."""

    training: Digits
    validation: Digits
    test: dict[str, Digits]  # by data set; folders have no test digits


def load_split(names: Sequence[str], root: Path) -> Split:
    """The digits of the named data sets, each split separately. Raises `DataError`."""
    for name in names:
        if name not in DATASETS and not name.startswith(FOLDER):
            raise DataError(f"{name!r} is not a data set; choose from {', '.join(DATASETS)} and {FOLDER}PATH.")
    parts = [split_digits(_load_training(name, root)) for name in names]
    return Split(
        training=_concatenate([training for training, _ in parts]),
        validation=_concatenate([validation for _, validation in parts]),
        test={name: DATASETS[name](root, train=False) for name in names if name in DATASETS},
    )


def _load_training(name: str, root: Path) -> Digits:
    if name.startswith(FOLDER):
        return load_folder(Path(name.removeprefix(FOLDER)), root / "cache")
    return DATASETS[name](root, train=True)


def _concatenate(parts: Sequence[Digits]) -> Digits:
    return Digits(torch.cat([part.frames for part in parts]), torch.cat([part.labels for part in parts]))
