"""Trajectories: the path of the pen in a line of a drawing, as the network for strokes sees it.

A trajectory is float32 `[5, T]`, points at even distances along the path of the pen, with the moves between strokes:
direction x and y (-1.5 to 1.5), height in the line (-1 = top, 1 = bottom), 1 where the pen is down, and how far left of
the rightmost point so far the point is, in heights of the line (at most 2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from recognition.strokes import Stroke, length, line_height, smooth_evenly

Trajectory = NDArray[np.float32]

_SPACING = 0.06  # heights of the line between points
_MAX_POINTS = 2_048  # a scribble that would need more has them farther apart; a line of digits has at most 1,500
_MIN_OVERLAP = 0.5  # of the narrower of two strokes that follow each other: they belong to one digit


def to_trajectory(strokes: Sequence[Stroke]) -> Trajectory:
    """The trajectory of a line of strokes, given in the order in which they were written."""
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    unit = line_height(low, high)
    scaled = [(stroke - low) / unit for stroke in order(strokes)]
    moves = sum(float(np.linalg.norm(after[0] - before[-1])) for before, after in pairwise(scaled))
    spacing = max(_SPACING, (sum(map(length, scaled)) + moves) / _MAX_POINTS)
    lines = [smooth_evenly(stroke, spacing) for stroke in scaled]
    path, pen = [lines[0]], [np.ones(len(lines[0]))]
    for before, line in pairwise(lines):
        start, end = before[-1], line[0]
        n_steps = math.ceil(float(np.linalg.norm(end - start)) / spacing)
        path += [start + (end - start) * (np.arange(1, n_steps) / max(1, n_steps))[:, None], line]
        pen += [np.zeros(max(0, n_steps - 1)), np.ones(len(line))]
    return _to_features(np.concatenate(path), np.concatenate(pen), float(high[1] - low[1]) / unit, spacing)


def _to_features(path: Stroke, pen: NDArray[np.float64], height: float, spacing: float) -> Trajectory:
    direction = np.diff(path, axis=0, prepend=path[:1]) / spacing
    left = np.maximum.accumulate(path[:, 0]) - path[:, 0]
    features = [*direction.T.clip(-1.5, 1.5), path[:, 1] * 2 - height, pen, np.minimum(left, 2)]
    return np.stack(features).astype(np.float32)


def order(strokes: Sequence[Stroke]) -> list[Stroke]:
    """The strokes from left to right; those that follow and overlap each other keep their order."""
    groups: list[list[Stroke]] = []
    extents: list[tuple[float, float]] = []  # of each group, along x
    for stroke in strokes:
        left, right = float(stroke[:, 0].min()), float(stroke[:, 0].max())
        if groups and _overlap(extents[-1], (left, right)) >= _MIN_OVERLAP:
            groups[-1].append(stroke)
            extents[-1] = min(left, extents[-1][0]), max(right, extents[-1][1])
        else:
            groups.append([stroke])
            extents.append((left, right))
    middles = [left + right for left, right in extents]
    return [stroke for i in np.argsort(middles, kind="stable").tolist() for stroke in groups[i]]


def _overlap(a: tuple[float, float], b: tuple[float, float]) -> float:
    """What two intervals share, as a share of the narrower one."""
    shared = min(a[1], b[1]) - max(a[0], b[0])
    narrower = min(a[1] - a[0], b[1] - b[0])
    return shared / narrower if narrower > 1e-9 else float(shared >= 0)
