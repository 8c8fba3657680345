"""Connected components of ink: which make up the digit, and which are lines, specks and neighbouring digits."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.ink import Mask, Picture

INK_LEVEL = 0.35  # of full ink; fainter pixels are edges of strokes
_FRAME_MARGIN = 0.12  # of a side: long components within this margin are a printed frame
_LINE_MARGIN = 0.22  # of a side: printed lines are removed within this margin


@dataclass(frozen=True, slots=True)
class Components:
    """Connected components of the ink; arrays have one entry per component."""

    labels: NDArray[np.int32]  # [H, W], 0 = paper, component i = i + 1
    left: NDArray[np.int32]
    top: NDArray[np.int32]
    right: NDArray[np.int32]  # exclusive
    bottom: NDArray[np.int32]  # exclusive
    area: NDArray[np.float64]  # pixels
    centre: NDArray[np.float64]  # [n, 2], x and y

    @property
    def boxes(self) -> NDArray[np.int32]:
        """Left, top, right and bottom of each, `[n, 4]`."""
        return np.stack([self.left, self.top, self.right, self.bottom], axis=1)

    @property
    def touches_border(self) -> NDArray[np.bool_]:
        """Whether each reaches the border of the picture."""
        height, width = self.labels.shape
        touch: NDArray[np.bool_] = (
            (self.left <= 1) | (self.top <= 1) | (self.right >= width - 1) | (self.bottom >= height - 1)
        )
        return touch

    @property
    def is_frame(self) -> NDArray[np.bool_]:
        """Whether each is part of a printed frame: at the border, within the margin, at least half a side long."""
        height, width = self.labels.shape
        rows, columns = int(_FRAME_MARGIN * height), int(_FRAME_MARGIN * width)
        inner = self.labels[rows : height - rows, columns : width - columns]
        inside = np.bincount(inner.ravel(), minlength=len(self.area) + 1)[1:]
        is_long = (self.right - self.left >= 0.5 * width) | (self.bottom - self.top >= 0.5 * height)
        is_frame: NDArray[np.bool_] = self.touches_border & is_long & (inside <= 0.1 * self.area)
        return is_frame


def find_components(ink: Picture) -> Components:
    """The connected components of the ink of a picture."""
    _, labels, stats, centres = cv2.connectedComponentsWithStats((ink > INK_LEVEL).astype(np.uint8), connectivity=8)
    left, top, width, height, area = stats[1:].T
    return Components(labels, left, top, left + width, top + height, area.astype(np.float64), centres[1:])


def remove_lines(ink: Picture, min_length: float = 0.6) -> Picture:
    """Ink without printed lines along the border of the picture, such as those of grid paper.

    They are at least `min_length` of a side long. In a row of digits, a stroke is never as long as the default.
    """
    mask = (ink > INK_LEVEL).astype(np.uint8)
    lines: Mask = _border_lines(mask, min_length) | _border_lines(mask.T, min_length).T
    if not lines.any():
        return ink
    return np.where(cv2.dilate(lines, np.ones((3, 3), np.uint8)) > 0, 0, ink).astype(np.float32)


def _border_lines(mask: Mask, min_length: float) -> Mask:
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
        if at_border and reaches_edge and run >= min_length * width and thickness <= 0.2 * height:
            lines[labels == index] = 1
    return lines


def keep_digit(ink: Picture, *, is_cropped: bool = False) -> Picture:
    """Ink of the main component and of the components near it, without specks.

    With `is_cropped`, small components at the border belong to neighbours even if the digit reaches the border, too.
    Empty if all ink is lines along the border, as in an empty cell of grid paper.
    """
    components = find_components(ink)
    frame = components.is_frame
    if frame.any() and (components.area[~frame] < 0.1 * components.area[frame].max()).all():
        return np.zeros_like(ink)
    if len(components.area) <= 1:
        return ink
    keep = np.concatenate([[False], _is_part_of_digit(components, is_cropped)])[components.labels].astype(np.uint8)
    # The edges of strokes are fainter than the level; they belong to the component that they surround.
    surrounded = cv2.dilate(keep, np.ones((3, 3), np.uint8))
    return np.where(surrounded > 0, ink, 0).astype(np.float32)


def _is_part_of_digit(components: Components, is_cropped: bool) -> NDArray[np.bool_]:
    """Mask of the components that are part of the digit."""
    main = _main_component(components)
    gap_x = np.maximum(components.left - components.right[main], components.left[main] - components.right)
    gap_y = np.maximum(components.top - components.bottom[main], components.top[main] - components.bottom)
    gap = np.maximum(0, np.maximum(gap_x, gap_y))
    size = max(components.right[main] - components.left[main], components.bottom[main] - components.top[main])
    is_cut = components.touches_border & (components.area < 0.3 * components.area[main])
    # A small component at the border belongs to a neighbouring digit, unless it almost touches this one.
    near = gap <= np.where(is_cut & ~components.touches_border[main], 0.05, 0.3) * size
    if is_cropped:
        near &= ~is_cut
    belongs: NDArray[np.bool_] = near & ~components.is_frame & (components.area >= 0.02 * components.area[main])
    belongs[main] = True
    return belongs


def _main_component(components: Components) -> int:
    """Index of the component that is largest, weighted by closeness to the centre; border components count less."""
    height, width = components.labels.shape
    off_centre = np.hypot(components.centre[:, 0] / width - 0.5, components.centre[:, 1] / height - 0.5)
    weight = components.area * np.where(components.touches_border, 0.35, 1.0) * np.exp(-3 * off_centre**2)
    return int(np.where(components.is_frame, 0, weight).argmax())
