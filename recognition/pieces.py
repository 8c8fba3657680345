"""Which of the ink belongs to the digit: not the ruled lines, the specks, or the neighbours at the border."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
Mask = NDArray[np.uint8]

INK_LEVEL = 0.35  # of full ink; fainter pixels are rims


def remove_lines(ink: Picture) -> Picture:
    """Ink without the printed lines that run along the picture's border from edge to edge, as of squared paper."""
    mask = (ink > INK_LEVEL).astype(np.uint8)
    lines = _border_lines(mask) | _border_lines(mask.T).T
    if not lines.any():
        return ink
    thick = cv2.dilate(lines, np.ones((3, 3), np.uint8))
    return np.where(thick > 0, 0, ink).astype(np.float32)


def _border_lines(mask: Mask) -> Mask:
    """Horizontal lines: long runs in the outer quarter of the rows that reach the left or the right edge."""
    height, width = mask.shape
    lines = np.zeros_like(mask)
    if height < 12 or width < 12:
        return lines
    # A line may lean by a few pixels: runs are found on a mask that is smeared up and down.
    smeared = cv2.dilate(mask, np.ones((3, 1), np.uint8))
    runs = cv2.morphologyEx(smeared, cv2.MORPH_OPEN, np.ones((1, max(5, int(width * 0.3))), np.uint8)) & mask
    count, labels, stats, _ = cv2.connectedComponentsWithStats(runs, connectivity=8)
    for index in range(1, count):
        left, top, run, thickness, _ = stats[index]
        at_rim = top + thickness / 2 < height * 0.22 or top + thickness / 2 > height * 0.78
        reaches = left <= 2 or left + run >= width - 2
        if at_rim and reaches and run >= 0.6 * width and thickness <= 0.2 * height:
            lines[labels == index] = 1
    return lines


def keep_digit(ink: Picture) -> Picture:
    """Ink of the pieces that make up the digit: the main one, and those of some size that lie near it."""
    mask = (ink > INK_LEVEL).astype(np.uint8)
    count, labels, stats, centres = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count <= 2:
        return ink
    height, width = mask.shape
    areas = stats[1:, cv2.CC_STAT_AREA].astype(float)
    left, top = stats[1:, cv2.CC_STAT_LEFT], stats[1:, cv2.CC_STAT_TOP]
    right, bottom = left + stats[1:, cv2.CC_STAT_WIDTH], top + stats[1:, cv2.CC_STAT_HEIGHT]
    touches = (left <= 1) | (top <= 1) | (right >= width - 1) | (bottom >= height - 1)
    distance = np.hypot((centres[1:, 0] - width / 2) / width, (centres[1:, 1] - height / 2) / height)
    # A large piece in the middle is the digit; at the border it rather is a neighbour or a frame.
    weight = areas * np.where(touches, 0.35, 1.0) * np.exp(-3 * distance**2)
    main = int(weight.argmax())
    kept = _near(main, left, top, right, bottom, areas, touches)
    keep = np.concatenate([[False], kept])[labels].astype(np.uint8)
    # Rims are fainter than the level: they go with the piece that they surround.
    rims = cv2.dilate(keep, np.ones((3, 3), np.uint8))
    return np.where(rims > 0, ink, 0).astype(np.float32)


def _near(
    main: int,
    left: NDArray[np.int32],
    top: NDArray[np.int32],
    right: NDArray[np.int32],
    bottom: NDArray[np.int32],
    areas: NDArray[np.float64],
    touches: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Which pieces belong to piece `main`: large enough, and closer than a third of its size."""
    size = max(right[main] - left[main], bottom[main] - top[main])
    gap_x = np.maximum(0, np.maximum(left - right[main], left[main] - right))
    gap_y = np.maximum(0, np.maximum(top - bottom[main], top[main] - bottom))
    gap = np.maximum(gap_x, gap_y)
    reach = np.where(touches & ~touches[main] & (areas < 0.3 * areas[main]), 0.05, 0.3) * size
    near: NDArray[np.bool_] = (areas >= 0.02 * areas[main]) & (gap <= reach)
    near[main] = True
    return near
