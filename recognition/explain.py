"""Attribution: which ink is evidence for a digit, and which against it.

Occlusion sensitivity (Zeiler and Fergus 2014, arXiv:1311.2901): small patches of ink are removed one at a time, and the
fall of the digit's log-odds is attributed to them. Gradients would be a little cheaper, but their sign changes from
pixel to pixel along a stroke, which makes them unreadable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_file import FRAME_SIZE
from recognition.frame import Frame, Region

# Patches are centred on the inked cells of a grid. The finest grid, in pixels per cell, that needs no more than this
# many patches is used; a frame full of ink has 49 cells of four pixels.
_CELL_SIZES = (2, 3, 4)
_MAX_PATCHES = 49
_MIN_INK = 0.15  # in a cell, per pixel of its side
_PATCH_SIGMA = 0.8  # standard deviation of a patch, in cells
_EPSILON = 1e-6  # smaller changes of the log-odds are rounding errors

_ROWS, _COLUMNS = np.mgrid[0:FRAME_SIZE, 0:FRAME_SIZE].astype(np.float32) + 0.5  # centres of the pixels


@dataclass(frozen=True, slots=True)
class Heat:
    """Evidence in a frame for and against a digit."""

    values: NDArray[np.float32]  # [28, 28], -1 (evidence against) to 1 (evidence for), 0 without ink
    strength: float  # change of the digit's log-odds, in nats, at a value of 1; 0 if no patch changed them


@dataclass(frozen=True, slots=True)
class Explanation:
    """The evidence for and against `digit`, and its probability."""

    digit: int
    confidence: float  # its calibrated probability, 0 to 1, given that the input is a digit
    heat: Heat
    frame: Frame  # [28, 28], the network's input
    region: Region  # what the frame shows, in the units of the drawing or in pixels of the picture
    elapsed_ms: float  # the recognizer's time


def find_heat(frame: Frame, log_odds_of: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Heat:
    """The heat of a frame `[28, 28]` for a digit; `log_odds_of` gives its log-odds `[N]` in frames `[N, 28, 28]`.

    Runs one batch of at most 50 frames.
    """
    patches = _patches(frame)  # [n, 28, 28]
    odds = log_odds_of(np.concatenate([frame[None], frame * (1 - patches)]))
    lost = odds[0] - odds[1:]  # [n]
    # Each pixel gets the mean over the patches, weighted by how much they cover it.
    values = np.tensordot(lost, patches, 1) / np.maximum(patches.sum(axis=0), _EPSILON)
    values *= np.minimum(1, 2 * frame)
    strength = float(np.abs(values).max())
    if strength < _EPSILON:
        return Heat(np.zeros_like(frame), 0.0)
    return Heat((values / strength).astype(np.float32), strength)


def _patches(frame: Frame) -> NDArray[np.float32]:
    """Soft round patches `[n, 28, 28]` that cover all ink: the share of the ink that each removes, 0 to 1."""
    for side in _CELL_SIZES:
        rows, columns = _inked_cells(frame, side)
        if len(rows) <= _MAX_PATCHES:
            break
    distance2 = (_ROWS - rows[:, None, None]) ** 2 + (_COLUMNS - columns[:, None, None]) ** 2
    patches: NDArray[np.float32] = np.exp(-distance2 / (2 * (_PATCH_SIGMA * side) ** 2)).astype(np.float32)
    return patches


def _inked_cells(frame: Frame, side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centres, `y` and `x` in pixels, of the cells of `side` pixels a side that contain ink."""
    margin = -FRAME_SIZE % side
    cells = np.pad(frame, (0, margin)).reshape(-(-FRAME_SIZE // side), side, -1, side)
    rows, columns = np.nonzero(cells.sum(axis=(1, 3)) > _MIN_INK * side)
    return (rows.astype(np.float32) + 0.5) * side, (columns.astype(np.float32) + 0.5) * side
