"""Why an answer: which ink spoke for a digit, and which against it.

A little ink is taken away at a time, and the digit asked for anew (occlusion: Zeiler and Fergus 2014, arXiv:1311.2901).
What makes the digit less likely by going spoke for it. Gradients would be a little cheaper, but change their sign from
pixel to pixel along a stroke, so that nobody can read them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model import FRAME_SIZE, N_DIGITS
from recognition.normalize import Field, Frame

# Ink is taken away around the middles of cells of this many pixels a side: the finest that leave no more spots than
# that, so that the work is bounded. Even a frame full of ink has 49 cells of four pixels a side.
_CELLS = (2, 3, 4)
_MOST_SPOTS = 49
# A cell with less ink than this, for each pixel of its side, is paper.
_LEAST_INK = 0.15
# The standard deviation of a spot, in cells.
_SPREAD = 0.8
# Heat is shown on the ink, and fades out within about two pixels of it.
_RIM = 1.0
# How much a network's odds change by rounding; frames that lose no ink differ by less.
_NOTHING = 1e-6

_ROWS, _COLUMNS = np.mgrid[0:FRAME_SIZE, 0:FRAME_SIZE].astype(np.float32) + 0.5  # where pixels have their middles


@dataclass(frozen=True, slots=True)
class Heat:
    """What spoke for a digit, and what against."""

    values: NDArray[np.float32]  # [28, 28], -1 (spoke against) to 1 (spoke for), 0 where there is no ink
    strength: float  # the change of the digit's log-odds, in nats, that 1 stands for; 0 if nothing changed them


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why `digit` is as likely as it is."""

    digit: int
    confidence: float  # its calibrated probability, 0 to 1, given that the input is a digit
    heat: Heat
    frame: Frame  # what the network saw
    field: Field  # where the frame lies, in the units of the drawing or in pixels of the picture


def log_odds(logits: Tensor, temperature: float, digit: int) -> Tensor:
    """Calibrated log-odds `[N]`, in nats, of `digit` against the nine others, from logits `[N, 10 or 11]`."""
    digits = logits[:, :N_DIGITS] / temperature
    others = torch.cat([digits[:, :digit], digits[:, digit + 1 :]], dim=1)
    return digits[:, digit] - others.logsumexp(dim=1)


def find_heat(frame: Frame, log_odds_of: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Heat:
    """The heat of a frame `[28, 28]` for the digit whose log-odds `[N]` in frames `[N, 28, 28]` are given.

    Takes one pass over at most 50 frames.
    """
    spots = _spots(frame)  # [n, 28, 28]
    odds = log_odds_of(np.concatenate([frame[None], frame * (1 - spots)]))
    lost = odds[0] - odds[1:]  # [n]
    # Each pixel has the mean of the spots that cover it, by how much they do.
    values = np.tensordot(lost, spots, 1) / np.maximum(spots.sum(axis=0), _NOTHING)
    values *= np.minimum(1, 2 * cv2.GaussianBlur(frame, (0, 0), _RIM))
    strength = float(np.abs(values).max())
    if strength < _NOTHING:
        return Heat(np.zeros_like(frame), 0.0)
    return Heat((values / strength).astype(np.float32), strength)


def _spots(frame: Frame) -> NDArray[np.float32]:
    """How much of the ink each spot takes away `[n, 28, 28]`, 0 to 1. They are soft and round, and cover all ink."""
    for side in _CELLS:
        rows, columns = _inked_cells(frame, side)
        if len(rows) <= _MOST_SPOTS:
            break
    distance2 = (_ROWS - rows[:, None, None]) ** 2 + (_COLUMNS - columns[:, None, None]) ** 2
    spots: NDArray[np.float32] = np.exp(-distance2 / (2 * (_SPREAD * side) ** 2)).astype(np.float32)
    return spots


def _inked_cells(frame: Frame, side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The middles, `y` and `x` in pixels, of those cells of `side` pixels a side that hold ink."""
    margin = -FRAME_SIZE % side
    cells = np.pad(frame, (0, margin)).reshape(-(-FRAME_SIZE // side), side, -1, side)
    rows, columns = np.nonzero(cells.sum(axis=(1, 3)) > _LEAST_INK * side)
    return (rows.astype(np.float32) + 0.5) * side, (columns.astype(np.float32) + 0.5) * side
