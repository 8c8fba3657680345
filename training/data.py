"""torchvision data sets as tensors, and their stratified, seeded splits."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from config import PREFIX

N_VALIDATION = 5_000


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


def load_mnist(root: Path, *, train: bool) -> Digits:
    """The 60,000 training or 10,000 test digits of MNIST, downloaded into `root` where missing. Raises `DataError`."""
    _declare_missing_operators()
    from torchvision.datasets import MNIST

    try:
        dataset = MNIST(str(root), train=train, download=True)
    except (RuntimeError, OSError) as error:
        raise DataError(
            f"MNIST is not in {root.resolve() / 'MNIST' / 'raw'} and cannot be downloaded ({_first_line(error)}). "
            f"Put the four files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
            f"t10k-labels-idx1-ubyte there, or set {PREFIX}DATA_DIR to the folder that holds MNIST/raw."
        ) from error
    except ValueError as error:
        raise DataError(f"A file in {root.resolve() / 'MNIST' / 'raw'} is damaged: {_first_line(error)}.") from error
    return Digits(dataset.data, dataset.targets)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__


def _declare_missing_operators() -> None:
    """Let torchvision import beside a CPU build of torch.

    The Linux wheel of torchvision on the package index is built for CUDA. Beside a CPU-only torch its compiled
    operators do not load, and `import torchvision` stops with "operator torchvision::nms does not exist"
    (pytorch/vision issues 8985, 9077 and 9085). Nothing here calls them, so their names are all that is missing.
    """
    if "torchvision" in sys.modules or _compiled_operators_load():
        return
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def _compiled_operators_load() -> bool:
    spec = importlib.util.find_spec("torchvision")
    folders = (spec.submodule_search_locations if spec else None) or []
    for library in (Path(folder) / "_C.so" for folder in folders):
        try:
            torch.ops.load_library(str(library))
        except OSError:
            continue
        return True
    return False


def stratified_split(labels: Tensor, n_validation: int, seed: int) -> tuple[Tensor, Tensor]:
    """Indices for training and for validation, the latter with every digit in its share of the whole."""
    from sklearn.model_selection import train_test_split

    indices = np.arange(len(labels))
    train, validation = train_test_split(
        indices, test_size=n_validation, random_state=seed, stratify=labels.numpy(), shuffle=True
    )
    return torch.from_numpy(np.sort(train)), torch.from_numpy(np.sort(validation))
