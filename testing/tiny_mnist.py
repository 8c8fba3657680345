"""A small MNIST: the handwriting of these tests, jittered, in files of MNIST's own format."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recognition.strokes import draw
from testing.handwriting import HANDWRITINGS
from training.datasets.frames import to_uint8

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def make_digits(count: int, seed: int) -> Arrays:
    """`count` digits in turn, as frames uint8 `[count, 28, 28]` and labels `[count]`."""
    rng = np.random.default_rng(seed)
    frames, labels = [], []
    for index in range(count):
        digit = index % 10
        drawings = HANDWRITINGS[digit]
        slant = np.array([[1, 0], [rng.normal(0, 0.15), 1]])
        strokes = [np.array(s, float) @ slant for s in drawings[rng.integers(len(drawings))]]
        strokes = [s + rng.normal(0, 2.0, s.shape) for s in strokes]
        frames.append(to_uint8(draw(strokes)))
        labels.append(digit)
    return np.stack(frames), np.array(labels, dtype=np.uint8)


def write_idx(path: Path, values: NDArray[np.generic]) -> None:
    """Write an array in the IDX format: zeros, type, dimensions, sizes, then the values, all big-endian."""
    kind = {1: 0x08, 4: 0x0C}[values.dtype.itemsize]
    header = bytes([0, 0, kind, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + values.astype(values.dtype.newbyteorder(">")).tobytes())


def write_mnist(root: Path, n_train: int = 240, n_test: int = 50) -> Path:
    """A torchvision root with that many digits."""
    for prefix, count, seed in (("train", n_train, 1), ("t10k", n_test, 2)):
        frames, labels = make_digits(count, seed)
        write_idx(root / "MNIST" / "raw" / f"{prefix}-images-idx3-ubyte", frames)
        write_idx(root / "MNIST" / "raw" / f"{prefix}-labels-idx1-ubyte", labels)
    return root
