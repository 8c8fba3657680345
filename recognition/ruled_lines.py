"""Removal of the printed lines of ruled and grid paper, which run through a digit from edge to edge."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.ink import Mask, Picture

_LEVEL = 0.2  # of full ink; printed lines may be fainter than the digit
_MAX_SLANT = np.radians(8)
_MIN_LENGTH = 0.8  # of a side: minimum length of a line that strokes may interrupt
_MAX_THICKNESS = 0.05  # of the shorter side: maximum thickness of a line
_MAX_LINES = 60  # grid paper has fewer, a halftone screen thousands
_MIN_DISTANCE = 3  # pixels: lines closer than this are duplicates
_MIN_SIDE = 12


def remove_ruling(ink: Picture) -> Picture:
    """Ink `[H, W]` without ruled lines; the same array where there are none.

    Where a stroke crosses or follows a line, the ink is broader than the line and is kept.
    """
    mask = (ink > _LEVEL).astype(np.uint8)
    if min(mask.shape) < _MIN_SIDE:
        return ink
    across = _lines_across(mask)
    down = _lines_across(np.ascontiguousarray((mask & ~across).T)).T
    lines = across | down
    if not lines.any():
        return ink
    # Also remove the faint edges of the lines, but no ink of strokes.
    removed = cv2.dilate(lines, np.ones((3, 3), np.uint8)) > mask - lines
    return np.where(removed, 0, ink).astype(np.float32)


def _lines_across(mask: Mask) -> Mask:
    """Mask of the nearly horizontal lines, without strokes that cross them."""
    height, width = mask.shape
    lines = np.zeros_like(mask)
    middles = _find_lines(mask)
    if not middles:
        return lines
    rows, columns = np.arange(height, dtype=np.int16)[:, None], np.arange(width)
    # The vertical run of ink through a pixel extends from the first gap above it to the first gap below.
    above = np.maximum.accumulate(np.where(mask, np.int16(-1), rows), axis=0)
    below = np.minimum.accumulate(np.where(mask, np.int16(height), rows)[::-1], axis=0)[::-1]
    for middle in middles:
        near = np.clip(middle + np.array([0, -1, 1, -2, 2])[:, None], 0, height - 1)
        hit = near[mask[near, columns].argmax(axis=0), columns]
        is_inked = mask[hit, columns] > 0
        if is_inked.mean() < _MIN_LENGTH:
            continue
        top, bottom = above[hit, columns], below[hit, columns]
        run = bottom - top - 1
        # Where strokes cross the line, runs are longer; a low percentile is the line's own thickness.
        thickness = float(np.percentile(run[is_inked], 35))
        if thickness <= _MAX_THICKNESS * min(height, width):
            is_alone = is_inked & (run <= 1.5 * thickness + 1)
            lines |= (rows > top) & (rows < bottom) & is_alone
    return lines


def _find_lines(mask: Mask) -> list[NDArray[np.int64]]:
    """Rows of the points `[W]` of each nearly horizontal line, by the Hough transform at half the size."""
    width = mask.shape[1]
    half = np.ascontiguousarray(cv2.dilate(mask, np.ones((2, 2), np.uint8))[::2, ::2])
    angles = np.pi / 2 - _MAX_SLANT, np.pi / 2 + _MAX_SLANT
    found = cv2.HoughLines(half, 1, np.pi / 360, int(_MIN_LENGTH * width / 2), None, 0, 0, *angles)
    middles: list[NDArray[np.int64]] = []
    for rho, theta in [] if found is None else found.reshape(-1, 2)[:_MAX_LINES]:
        middle = np.round((2 * rho - np.arange(width) * np.cos(theta)) / np.sin(theta)).astype(np.int64)
        if all(abs(middle[width // 2] - other[width // 2]) > _MIN_DISTANCE for other in middles):
            middles.append(middle)
    return middles
