"""Selection of the connected components that make up the digit, without lines, specks and neighbouring digits."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.paper import Mask, Picture

INK_LEVEL = 0.35  # of full ink; fainter pixels are edges of strokes
_FRAME_MARGIN = 0.12  # of a side: long pieces within this margin are a printed frame
_LINE_MARGIN = 0.22  # of a side: printed lines are removed within this margin


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Connected components of the ink; arrays have one entry per component."""

    labels: NDArray[np.int32]  # [H, W], 0 = paper, piece i = i + 1
    left: NDArray[np.int32]
    top: NDArray[np.int32]
    right: NDArray[np.int32]  # exclusive
    bottom: NDArray[np.int32]  # exclusive
    area: NDArray[np.float64]  # pixels
    centre: NDArray[np.float64]  # [n, 2], x and y

    @property
    def touches_border(self) -> NDArray[np.bool_]:
        """Whether a piece reaches the border of the picture."""
        height, width = self.labels.shape
        touch: NDArray[np.bool_] = (
            (self.left <= 1) | (self.top <= 1) | (self.right >= width - 1) | (self.bottom >= height - 1)
        )
        return touch

    @property
    def is_frame(self) -> NDArray[np.bool_]:
        """Whether a piece is part of a printed frame: at the border, within the margin, at least half a side long."""
        height, width = self.labels.shape
        rows, columns = int(_FRAME_MARGIN * height), int(_FRAME_MARGIN * width)
        inner = self.labels[rows : height - rows, columns : width - columns]
        inside = np.bincount(inner.ravel(), minlength=len(self.area) + 1)[1:]
        is_long = (self.right - self.left >= 0.5 * width) | (self.bottom - self.top >= 0.5 * height)
        is_frame: NDArray[np.bool_] = self.touches_border & is_long & (inside <= 0.1 * self.area)
        return is_frame


def _find_pieces(ink: Picture) -> _Pieces:
    _, labels, stats, centres = cv2.connectedComponentsWithStats((ink > INK_LEVEL).astype(np.uint8), connectivity=8)
    left, top, width, height, area = stats[1:].T
    return _Pieces(labels, left, top, left + width, top + height, area.astype(np.float64), centres[1:])


def remove_lines(ink: Picture) -> Picture:
    """Ink without printed lines along the border of the picture, such as those of squared paper."""
    mask = (ink > INK_LEVEL).astype(np.uint8)
    lines: Mask = _border_lines(mask) | _border_lines(mask.T).T
    if not lines.any():
        return ink
    return np.where(cv2.dilate(lines, np.ones((3, 3), np.uint8)) > 0, 0, ink).astype(np.float32)


def _border_lines(mask: Mask) -> Mask:
    """Horizontal lines in the outer rows: long, thin, and reaching the left or the right edge."""
    height, width = mask.shape
    lines = np.zeros_like(mask)
    if min(height, width) < 12:
        return lines
    # A line may be slightly slanted, so runs are found on a mask that is dilated vertically.
    smeared = cv2.dilate(mask, np.ones((3, 1), np.uint8))
    runs = cv2.morphologyEx(smeared, cv2.MORPH_OPEN, np.ones((1, max(5, int(width * 0.3))), np.uint8)) & mask
    count, labels, stats, _ = cv2.connectedComponentsWithStats(runs, connectivity=8)
    for index in range(1, count):
        left, top, run, thickness, _ = stats[index]
        middle = (top + thickness / 2) / height
        reaches_edge = left <= 2 or left + run >= width - 2
        at_border = middle < _LINE_MARGIN or middle > 1 - _LINE_MARGIN
        if at_border and reaches_edge and run >= 0.6 * width and thickness <= 0.2 * height:
            lines[labels == index] = 1
    return lines


def keep_digit(ink: Picture) -> Picture:
    """Ink of the main piece and of the pieces near it, without specks.

    Empty if all ink is lines along the border, as in an empty cell of squared paper.
    """
    pieces = _find_pieces(ink)
    frame = pieces.is_frame
    if frame.any() and (pieces.area[~frame] < 0.1 * pieces.area[frame].max()).all():
        return np.zeros_like(ink)
    if len(pieces.area) <= 1:
        return ink
    keep = np.concatenate([[False], _is_part_of_digit(pieces)])[pieces.labels].astype(np.uint8)
    # The edges of strokes are fainter than the level; they belong to the piece that they surround.
    surrounded = cv2.dilate(keep, np.ones((3, 3), np.uint8))
    return np.where(surrounded > 0, ink, 0).astype(np.float32)


def _is_part_of_digit(pieces: _Pieces) -> NDArray[np.bool_]:
    """Mask of the pieces that are part of the digit."""
    main = _main_piece(pieces)
    gap_x = np.maximum(pieces.left - pieces.right[main], pieces.left[main] - pieces.right)
    gap_y = np.maximum(pieces.top - pieces.bottom[main], pieces.top[main] - pieces.bottom)
    gap = np.maximum(0, np.maximum(gap_x, gap_y))
    size = max(pieces.right[main] - pieces.left[main], pieces.bottom[main] - pieces.top[main])
    # A small piece at the border belongs to a neighbouring digit, unless it almost touches this one.
    is_intruder = pieces.touches_border & ~pieces.touches_border[main] & (pieces.area < 0.3 * pieces.area[main])
    near = gap <= np.where(is_intruder, 0.05, 0.3) * size
    belongs: NDArray[np.bool_] = near & ~pieces.is_frame & (pieces.area >= 0.02 * pieces.area[main])
    belongs[main] = True
    return belongs


def _main_piece(pieces: _Pieces) -> int:
    """Index of the piece that is largest, weighted by closeness to the centre; border pieces count less."""
    height, width = pieces.labels.shape
    off_centre = np.hypot(pieces.centre[:, 0] / width - 0.5, pieces.centre[:, 1] / height - 0.5)
    weight = pieces.area * np.where(pieces.touches_border, 0.35, 1.0) * np.exp(-3 * off_centre**2)
    return int(np.where(pieces.is_frame, 0, weight).argmax())
