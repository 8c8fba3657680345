"""MNIST, QMNIST, EMNIST and USPS, downloaded and read by torchvision."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from config import PREFIX
from model_file import N_DIGITS
from recognition.errors import BlankInput
from training.datasets.digits import DataError, Digits
from training.datasets.frames import normalize_scans


def load_mnist(root: Path, *, train: bool) -> Digits:
    """The 60,000 training or 10,000 test digits of MNIST. Raises `DataError`."""
    dataset = _open_torchvision("MNIST", root, train=train)
    return _validate("MNIST", root, dataset.data, dataset.targets)


def load_qmnist(root: Path, *, train: bool) -> Digits:
    """The 60,000 training or 60,000 test digits of QMNIST (arXiv:1905.10498). Raises `DataError`.

    The training digits are MNIST's in the same order, so that both have the same validation digits.
    """
    dataset = _open_torchvision("QMNIST", root, train=train)
    return _validate("QMNIST", root, dataset.data, dataset.targets[:, 0])  # columns: digit, then where it is from


def load_emnist_digits(root: Path, *, train: bool) -> Digits:
    """The 240,000 training or 40,000 test digits of EMNIST (arXiv:1702.05373). Raises `DataError`.

    Some of them are among MNIST's training and test digits.
    """
    dataset = _open_torchvision("EMNIST", root, train=train, split="digits")
    return _validate("EMNIST", root, dataset.data.mT.contiguous(), dataset.targets)  # stored column by column


def load_usps(root: Path, *, train: bool) -> Digits:
    """The 7,291 training or 2,007 test digits of USPS, 16x16 pixels, normalized to frames. Raises `DataError`."""
    dataset = _open_torchvision("USPS", root, train=train)
    try:
        frames = normalize_scans(dataset.data.astype(np.float32) / 255)
    except BlankInput as error:
        raise DataError(f"A USPS file in {root.resolve()} is damaged: a picture is blank.") from error
    return _validate("USPS", root, torch.from_numpy(frames), dataset.targets)


# The files of a data set, for when it cannot be downloaded.
_FILES = {
    "MNIST": "the four files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
    "t10k-labels-idx1-ubyte",
    "QMNIST": "the unpacked files qmnist-train-images-idx3-ubyte, qmnist-train-labels-idx2-int and their test "
    "counterparts",
    "EMNIST": "the unpacked files emnist-digits-train-images-idx3-ubyte, emnist-digits-train-labels-idx1-ubyte and "
    "their test counterparts",
    "USPS": "usps.bz2 and usps.t.bz2",
}


def _open_torchvision(name: str, root: Path, **arguments: Any) -> Any:
    """torchvision's data set of that name, downloaded where missing. Raises `DataError`."""
    _declare_missing_operators()
    import torchvision.datasets

    try:
        return getattr(torchvision.datasets, name)(str(root), download=True, **arguments)
    # torchvision does not validate what it reads; damaged files raise any of these.
    except (RuntimeError, OSError, EOFError, ValueError, TypeError, LookupError, AssertionError) as error:
        folder = _folder(name, root)
        damage = _find_damage(folder)
        if damage:
            raise DataError(damage) from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
        raise DataError(
            f"{name} is not in {folder} and cannot be downloaded ({reason}). Put {_FILES[name]} there, or set "
            f"{PREFIX}DATA_DIR to the folder that holds {'them' if name == 'USPS' else f'{name}/raw'}."
        ) from error


def _folder(name: str, root: Path) -> Path:
    return root.resolve() if name == "USPS" else root.resolve() / name / "raw"


def _validate(name: str, root: Path, frames: Tensor, labels: Tensor | list[int]) -> Digits:
    """The digits, if frames and labels match each other. Raises `DataError`."""
    labels = torch.as_tensor(labels, dtype=torch.int64)
    if len(frames) != len(labels) or len(labels) == 0 or frames.shape[1:] != (28, 28):
        raise DataError(
            f"The {name} files in {_folder(name, root)} do not match: {len(frames)} pictures of "
            f"{'x'.join(map(str, frames.shape[1:]))} pixels, {len(labels)} labels."
        )
    if int(labels.min()) < 0 or int(labels.max()) >= N_DIGITS:
        raise DataError(f"The {name} label file in {_folder(name, root)} is damaged: it has labels beyond 0 to 9.")
    return Digits(frames, labels)


def _find_damage(folder: Path) -> str | None:
    """A sentence about the first file whose length does not match its header; None if there is none."""
    for path in sorted(folder.glob("*-idx?-*")):
        if path.suffix:  # an archive, which torchvision verifies
            continue
        # IDX: two zero bytes, the type of a value, the number of dimensions, then each dimension in four bytes.
        header = path.read_bytes()[:16]
        n_dimensions = header[3] if len(header) > 3 else 0
        if header[:2] != b"\0\0" or not 1 <= n_dimensions <= 3:
            return f"{path} is damaged: it does not begin with an IDX header."
        shape = [int.from_bytes(header[4 * i : 4 * i + 4], "big") for i in range(1, 1 + n_dimensions)]
        item_size = {0x08: 1, 0x09: 1, 0x0B: 2, 0x0C: 4, 0x0D: 4, 0x0E: 8}.get(header[2], 1)
        expected, size = 4 + 4 * n_dimensions + item_size * int(np.prod(shape)), path.stat().st_size
        if size != expected:
            return f"{path} is damaged: it has {size:,} bytes, and its header says {expected:,}."
    for path in sorted(folder.glob("usps*.bz2")):
        return f"{path} is damaged: it cannot be unpacked and read. Delete it to download it again."
    return None


def _declare_missing_operators() -> None:
    """Let torchvision import beside a CPU build of torch.

    The Linux wheel of torchvision on PyPI is built for CUDA. Beside a CPU-only torch its compiled operators do not
    load, and `import torchvision` stops with "operator torchvision::nms does not exist" (pytorch/vision issues 8985,
    9077 and 9085). Nothing here calls them, so declaring them is enough.
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
