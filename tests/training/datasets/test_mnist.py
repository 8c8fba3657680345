"""Published data sets: as torchvision stores them, damaged, and missing."""

import bz2
import urllib.error
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from testing.tiny_mnist import make_digits, write_idx, write_mnist
from training.datasets import DataError
from training.datasets.mnist import load_emnist_digits, load_mnist, load_qmnist, load_usps


@pytest.fixture(autouse=True)
def _closed_network(monkeypatch: pytest.MonkeyPatch) -> None:
    from training.datasets import mnist

    mnist._declare_missing_operators()
    import torchvision.datasets.mnist
    import torchvision.datasets.usps

    def refuse(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("the network is closed")

    for module in (torchvision.datasets.mnist, torchvision.datasets.usps):
        for name in ("download_and_extract_archive", "download_url"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, refuse)


def test_mnist_is_read(tiny_mnist: Path) -> None:
    digits = load_mnist(tiny_mnist, train=True)
    assert digits.frames.shape == (240, 28, 28)
    assert digits.labels[:12].tolist() == [*range(10), 0, 1]


def test_emnist_is_transposed(tmp_path: Path) -> None:
    frames, labels = make_digits(20, seed=0)
    raw = tmp_path / "EMNIST" / "raw"
    write_idx(raw / "emnist-digits-train-images-idx3-ubyte", frames.transpose(0, 2, 1).copy())
    write_idx(raw / "emnist-digits-train-labels-idx1-ubyte", labels)
    digits = load_emnist_digits(tmp_path, train=True)
    assert np.array_equal(digits.frames.numpy(), frames)


def test_qmnist_labels_are_the_characters(tmp_path: Path) -> None:
    frames, labels = make_digits(20, seed=0)
    raw = tmp_path / "QMNIST" / "raw"
    columns = np.stack([labels.astype(np.int32), *[np.full(20, 99, np.int32)] * 7], axis=1)
    write_idx(raw / "qmnist-train-images-idx3-ubyte", frames)
    write_idx(raw / "qmnist-train-labels-idx2-int", columns)
    digits = load_qmnist(tmp_path, train=True)
    assert digits.labels.tolist() == labels.tolist()


def test_usps_is_normalized(tmp_path: Path) -> None:
    frames, labels = make_digits(10, seed=0)
    lines = []
    for frame, label in zip(frames, labels, strict=True):
        # 16x16 pixels from -1 to 1, the ink reaching the borders; labels count from 1.
        small = cv2.resize(frame[4:24, 4:24], (16, 16), interpolation=cv2.INTER_AREA) / 127.5 - 1
        pixels = " ".join(f"{index}:{value:.3f}" for index, value in enumerate(small.ravel(), start=1))
        lines.append(f"{label + 1} {pixels}\n")
    (tmp_path / "usps.bz2").write_bytes(bz2.compress("".join(lines).encode()))
    digits = load_usps(tmp_path, train=True)
    assert digits.labels.tolist() == labels.tolist()
    assert digits.frames.shape == (10, 28, 28)
    inked = digits.frames.numpy() > 127
    heights = inked.any(2).sum(1)
    widths = inked.any(1).sum(1)
    assert (np.maximum(heights, widths) >= 17).all()
    assert (np.maximum(heights, widths) <= 22).all()


@pytest.mark.parametrize("load", [load_mnist, load_emnist_digits, load_qmnist, load_usps])
def test_missing_data_without_network_names_folder_and_files(load: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be downloaded .*DIGITS_DATA_DIR") as error:
        load(tmp_path, train=True)
    assert str(tmp_path.resolve()) in str(error.value)


@pytest.mark.parametrize("length", [0, 3, 8, 1000])
def test_damaged_file_is_named(length: int, tmp_path: Path) -> None:
    write_mnist(tmp_path, 30, 10)
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte is damaged"):
        load_mnist(tmp_path, train=True)


def test_file_of_another_format_is_named(tmp_path: Path) -> None:
    write_mnist(tmp_path, 30, 10)
    path = tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    path.write_bytes(b"<html>404 Not Found</html>")
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte is damaged: it does not begin with an IDX header"):
        load_mnist(tmp_path, train=False)


def test_files_that_do_not_match_are_rejected(tmp_path: Path) -> None:
    write_mnist(tmp_path, 30, 10)
    write_idx(tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte", np.zeros(29, np.uint8))
    with pytest.raises(DataError, match="30 pictures of 28x28 pixels, 29 labels"):
        load_mnist(tmp_path, train=True)


def test_labels_beyond_nine_are_rejected(tmp_path: Path) -> None:
    write_mnist(tmp_path, 30, 10)
    write_idx(tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte", np.full(30, 10, np.uint8))
    with pytest.raises(DataError, match="labels beyond 0 to 9"):
        load_mnist(tmp_path, train=True)


def test_damaged_usps_is_named(tmp_path: Path) -> None:
    (tmp_path / "usps.bz2").write_bytes(bz2.compress(b"1 1:0.5\n" * 100)[:-9])
    with pytest.raises(DataError, match=r"usps\.bz2 is damaged"):
        load_usps(tmp_path, train=True)
