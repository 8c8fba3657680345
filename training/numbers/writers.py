"""The digits that numbers are composed of, by writer: MNIST's training digits and the open sets.

writers = load_writers(data_dir)
glyph = writers["swiss"][0].glyphs[7][0]      # a 7 by the first writer of the Swiss set
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recognition.frame import stroke_width
from recognition.strokes import Stroke
from training.datasets import Digits, load_mnist, split_digits
from training.datasets.digits import split_indices
from training.datasets.drawings import Drawings
from training.datasets.open import load_pendigits, load_semeion, load_swiss, load_unipen_digits

Glyph = NDArray[np.uint8] | Sequence[Stroke]  # a frame, or lines in its pixels

_HANDS_OF_MNIST = 12  # MNIST's digits, which have no writers here, are grouped by the width of their strokes


@dataclass(frozen=True, slots=True)
class Writer:
    """Digits by one writer, or alike: `glyphs[label]`."""

    glyphs: tuple[tuple[Glyph, ...], ...]


Writers = dict[str, list[Writer]]  # by source


def load_writers(root: Path, *, for_validation: bool = False) -> Writers:
    """The training or validation digits of MNIST and of the open sets, by writer. Raises `DataError`."""
    semeion = split_digits(load_semeion(root))[for_validation]
    return {
        "mnist": group_by_width(split_digits(load_mnist(root, train=True))[for_validation], _HANDS_OF_MNIST),
        "unipen": group_by_writer(load_unipen_digits(root), for_validation),
        "pendigits": group_by_writer(load_pendigits(root), for_validation),
        "swiss": group_by_writer(load_swiss(root), for_validation),
        "semeion": [_writer(list(semeion.frames.numpy()), semeion.labels.numpy())],
    }


def group_by_width(digits: Digits, count: int) -> list[Writer]:
    frames, labels = digits.frames.numpy(), digits.labels.numpy()
    order = np.argsort([stroke_width(frame.astype(np.float32) / np.float32(255)) for frame in frames], kind="stable")
    return [_writer([frames[i] for i in part], labels[part]) for part in np.array_split(order, count)]


def group_by_writer(digits: Digits | Drawings, for_validation: bool) -> list[Writer]:
    glyphs: Sequence[Glyph] = list(digits.frames.numpy()) if isinstance(digits, Digits) else digits.lines
    labels, names = digits.labels.numpy(), np.array(digits.writers)
    chosen = split_indices(digits.labels, digits.writers)[for_validation].numpy()
    groups = [chosen[names[chosen] == name] for name in np.unique(names[chosen])]
    writers = [_writer([glyphs[i] for i in group], labels[group]) for group in groups]
    return [writer for writer in writers if all(writer.glyphs)]


def _writer(glyphs: Sequence[Glyph], labels: NDArray[np.int64]) -> Writer:
    return Writer(tuple(tuple(g for g, known in zip(glyphs, labels, strict=True) if known == d) for d in range(10)))
