"""Published digits, fetched by torchvision and brought into the frame's geometry."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from config import PREFIX
from model import N_DIGITS
from recognition.errors import BlankInput
from recognition.normalize import normalize
from training.data import DataError, Digits


def load_mnist(root: Path, *, train: bool) -> Digits:
    """The 60,000 training or 10,000 test digits of MNIST, downloaded into `root` where missing. Raises `DataError`."""
    dataset = _open("MNIST", root, train=train)
    return _checked("MNIST", root, dataset.data, dataset.targets)


def load_qmnist(root: Path, *, train: bool) -> Digits:
    """The 60,000 training or 60,000 test digits of QMNIST (arXiv:1905.10498). Raises `DataError`."""
    dataset = _open("QMNIST", root, train=train)
    # Targets are rows of a character and where it was written; the character comes first.
    return _checked("QMNIST", root, dataset.data, dataset.targets[:, 0])


def load_emnist_digits(root: Path, *, train: bool) -> Digits:
    """The 240,000 training or 40,000 test digits of EMNIST (arXiv:1702.05373). Raises `DataError`."""
    dataset = _open("EMNIST", root, train=train, split="digits")
    # EMNIST was written column by column: its pictures lie on their side.
    return _checked("EMNIST", root, dataset.data.mT.contiguous(), dataset.targets)


def load_usps(root: Path, *, train: bool) -> Digits:
    """The 7,291 training or 2,007 test digits of USPS, 16x16 pixels and cut at the ink's box. Raises `DataError`."""
    dataset = _open("USPS", root, train=train)
    # The pictures are cut off where the ink ends; a margin of paper lets the front end tell the two apart.
    padded = np.pad(dataset.data.astype(np.float32) / 255, ((0, 0), (4, 4), (4, 4)))
    try:
        frames = np.stack([normalize(picture) for picture in padded])
    except BlankInput as error:
        raise DataError(f"A USPS file in {root.resolve()} is damaged: a picture is blank.") from error
    return _checked("USPS", root, torch.from_numpy((frames * 255).round().astype(np.uint8)), dataset.targets)


def _open(name: str, root: Path, **arguments: Any) -> Any:
    """torchvision's data set `name`, downloaded where missing. Raises `DataError`."""
    _declare_missing_operators()
    import torchvision.datasets

    dataset: Callable[..., Any] = getattr(torchvision.datasets, name)
    try:
        return dataset(str(root), download=True, **arguments)
    # torchvision reads without checks: a damaged file leads to whatever its bytes lead to.
    except (RuntimeError, OSError, EOFError, ValueError, TypeError, LookupError, AssertionError) as error:
        damage = _describe_damage(_folder(name, root))
        if damage:
            raise DataError(damage) from error
        raise DataError(_describe_absence(name, root, error)) from error


def _checked(name: str, root: Path, frames: Tensor, labels: Tensor | list[int]) -> Digits:
    """The digits, once it is sure that labels and pictures fit each other."""
    labels = torch.as_tensor(labels, dtype=torch.int64)
    if len(frames) != len(labels) or len(labels) == 0 or frames.shape[1:] != (28, 28):
        raise DataError(
            f"The {name} files in {_folder(name, root)} do not fit each other: {len(frames)} pictures of "
            f"{'x'.join(map(str, frames.shape[1:]))} pixels, {len(labels)} labels."
        )
    if int(labels.min()) < 0 or int(labels.max()) >= N_DIGITS:
        raise DataError(f"The {name} label file in {_folder(name, root)} is damaged: it has labels beyond 0 to 9.")
    return Digits(frames, labels)


def _folder(name: str, root: Path) -> Path:
    return root.resolve() if name == "USPS" else root.resolve() / name / "raw"


def _describe_damage(folder: Path) -> str | None:
    """A sentence on the first file that is shorter or longer than its own header says; None if there is none."""
    for path in sorted(folder.glob("*-idx*-*")):
        if path.suffix:  # a packed one, which torchvision verifies itself
            continue
        header = path.read_bytes()[:16]
        # Two zero bytes, the type of a value, the number of dimensions, then each dimension in four bytes.
        n_dimensions = header[3] if len(header) > 3 else 0
        if header[:2] != b"\0\0" or not 1 <= n_dimensions <= 3:
            return f"{path} is damaged: it does not begin as an IDX file does."
        shape = [int.from_bytes(header[4 * i : 4 * i + 4], "big") for i in range(1, 1 + n_dimensions)]
        width = {0x08: 1, 0x09: 1, 0x0B: 2, 0x0C: 4, 0x0D: 4, 0x0E: 8}.get(header[2], 1)
        expected = 4 + 4 * n_dimensions + width * int(np.prod(shape))
        if path.stat().st_size != expected:
            return f"{path} is damaged: it has {path.stat().st_size:,} bytes, and its header promises {expected:,}."
    for path in sorted(folder.glob("usps*.bz2")):
        return f"{path} is damaged: it cannot be unpacked and read. Delete it, and it is fetched again."
    return None


def _describe_absence(name: str, root: Path, error: Exception) -> str:
    files = {
        "MNIST": "the four files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
        "t10k-labels-idx1-ubyte",
        "QMNIST": "the unpacked files qmnist-train-images-idx3-ubyte, qmnist-train-labels-idx2-int and "
        "their test twins",
        "EMNIST": "the unpacked files emnist-digits-train-images-idx3-ubyte, emnist-digits-train-labels-idx1-ubyte and "
        "their test twins",
        "USPS": "usps.bz2 and usps.t.bz2",
    }[name]
    inside = "" if name == "USPS" else f"{name}/raw"
    return (
        f"{name} is not in {_folder(name, root)} and cannot be downloaded ({_first_line(error)}). Put {files} there, "
        f"or set {PREFIX}DATA_DIR to the folder that holds {inside or 'them'}."
    )


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
