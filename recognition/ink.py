"""Pen strokes to the 28x28 frame.

A stroke is a list of points `[x, y]`, y down, in any unit. It is scaled to the frame *before* it is drawn, with a pen
of MNIST's width, so where and how large somebody draws, and on what screen, makes no difference to the frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from config import Limits
from model import FRAME_SIZE
from recognition.errors import N_, BlankInput, InvalidStrokes
from recognition.normalize import INK_CENTRE, INK_SIZE, Frame, Region, centre_of_mass

Stroke = NDArray[np.float64]  # [n, 2], x and y

# Median stroke width of the MNIST training pictures is 2.5 px by the distance transform; a line that OpenCV draws at
# this width, anti-aliased, measures the same.
PEN_WIDTH = 2.0
# The drawing is made this many times larger than the frame and averaged down.
_OVERSAMPLING = 4
# OpenCV takes coordinates as integers of this many binary places; 16 is the most that it allows.
_SHIFT = 16
# Splines are drawn as straight pieces of this length, in frame units: two pixels of the oversampled drawing.
_SPACING = 0.5
_MAX_DRAWN_POINTS = 40_000


def validate_strokes(strokes: object, limits: Limits) -> list[Stroke]:
    """Check `[[[x, y], ...], ...]` for shape, count and finite numbers. Raises `InvalidStrokes` or `BlankInput`."""
    if not isinstance(strokes, list):
        raise InvalidStrokes(N_("Strokes are a list of strokes, each a list of points [x, y]."))
    if len(strokes) > limits.max_strokes:
        sentence = N_("A drawing has at most %(most)d strokes; this one has %(given)d.")
        raise InvalidStrokes(sentence, most=limits.max_strokes, given=len(strokes))
    for index, stroke in enumerate(strokes):
        if not isinstance(stroke, list):
            raise InvalidStrokes(N_("A stroke is a list of points [x, y]."), f"/{index}")
    n_points = sum(map(len, strokes))
    if n_points > limits.max_points:
        sentence = N_("A drawing has at most %(most)d points; this one has %(given)d.")
        raise InvalidStrokes(sentence, most=limits.max_points, given=n_points)
    if n_points == 0:
        raise BlankInput
    return [_validate_stroke(stroke, index, limits) for index, stroke in enumerate(strokes) if stroke]


def _validate_stroke(stroke: list[object], index: int, limits: Limits) -> Stroke:
    for place, point in enumerate(stroke):
        pointer = f"/{index}/{place}"
        if not isinstance(point, list) or len(point) != 2:
            raise InvalidStrokes(N_("A point is a list of two numbers, [x, y]."), pointer)
        for coordinate in point:
            # bool is an int to Python, but not a number to JSON.
            if isinstance(coordinate, bool) or not isinstance(coordinate, (int, float)):
                raise InvalidStrokes(N_("A coordinate is a number."), pointer)
            # Comparison, not conversion: an integer of 400 digits has no float.
            if not -limits.max_coordinate <= coordinate <= limits.max_coordinate:
                sentence = N_("A coordinate is finite and within ±%(most)s.")
                raise InvalidStrokes(sentence, pointer, most=f"{limits.max_coordinate:g}")
    return np.array(stroke, dtype=np.float64)


def draw(strokes: Sequence[Stroke]) -> Frame:
    """The frame of a drawing: its longer side fits 20 px, its centre of mass is at `INK_CENTRE`. At least one point."""
    return draw_with_region(strokes)[0]


def draw_with_region(strokes: Sequence[Stroke]) -> tuple[Frame, Region]:
    """The frame as of `draw`, and the square that it shows, in the drawing's units."""
    fitted = _fit(strokes)
    # Only a scribble of a thousand lines across the frame is longer; it is drawn coarsely, to bound the cost.
    spacing = max(_SPACING, sum(map(_length, fitted)) / _MAX_DRAWN_POINTS)
    canvas = _render([_smooth(stroke, spacing) for stroke in fitted])
    shift = INK_CENTRE * _OVERSAMPLING - centre_of_mass(canvas)
    centred = cv2.warpAffine(canvas, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]), canvas.shape)
    frame: NDArray[np.uint8] = cv2.resize(centred, (FRAME_SIZE, FRAME_SIZE), interpolation=cv2.INTER_AREA)
    return frame.astype(np.float32) / np.float32(255), _region(strokes, shift / _OVERSAMPLING)


def _fit(strokes: Sequence[Stroke]) -> list[Stroke]:
    """Scale and move so that the ink (points plus pen) fits the frame's ink size, in the middle of the frame."""
    middle, extent = _extent(strokes)
    scale = (INK_SIZE - PEN_WIDTH) / extent if extent else 0.0
    return [(stroke - middle) * scale + FRAME_SIZE / 2 for stroke in strokes]


def _region(strokes: Sequence[Stroke], shift: NDArray[np.float64]) -> Region:
    """The square that the frame shows once what `_fit` gives has been moved by `shift`, in pixels of the frame."""
    middle, extent = _extent(strokes)
    unit = extent / (INK_SIZE - PEN_WIDTH) if extent else 1.0  # of the drawing, to a pixel of the frame
    left, top = middle - (FRAME_SIZE / 2 + shift) * unit
    return Region(float(left), float(top), FRAME_SIZE * unit)


def _extent(strokes: Sequence[Stroke]) -> tuple[NDArray[np.float64], float]:
    """The middle `[x, y]` of all points, and the longer side of the box around them: 0 for a tap, drawn as a dot."""
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    extent = float((high - low).max())
    # Coordinates reach 1e5, so an extent below 1e-6 is rounding.
    return (low + high) / 2, extent if extent > 1e-6 else 0.0


def _length(stroke: Stroke) -> float:
    return float(np.linalg.norm(np.diff(stroke, axis=0), axis=1).sum())


def _smooth(stroke: Stroke, spacing: float) -> Stroke:
    """A centripetal Catmull-Rom spline through the points, as a pen would have moved between them.

    Centripetal (Yuksel et al. 2011, doi:10.1016/j.cad.2010.08.008), because it makes no loops at corners.
    """
    steps = np.linalg.norm(np.diff(stroke, axis=0), axis=1)
    # Points in one place have no direction. The bound is so small that even 10,000 of them skip no visible curve.
    stroke = stroke[np.concatenate([[True], steps > 1e-6])]
    if len(stroke) < 3:
        return stroke
    # A phantom point at each end continues the first and the last segment.
    knots = np.vstack([2 * stroke[0] - stroke[1], stroke, 2 * stroke[-1] - stroke[-2]])
    p0, p1, p2, p3 = knots[:-3], knots[1:-2], knots[2:-1], knots[3:]
    d1, d2, d3 = (np.sqrt(np.linalg.norm(b - a, axis=1))[:, None] for a, b in ((p0, p1), (p1, p2), (p2, p3)))
    # Tangents at both ends of each segment for its cubic Hermite form, from the centripetal knot spacing.
    m1 = (p2 - p1) + d2 * ((p1 - p0) / d1 - (p2 - p0) / (d1 + d2))
    m2 = (p2 - p1) + d2 * ((p3 - p2) / d3 - (p3 - p1) / (d2 + d3))
    n_steps = min(32, max(1, math.ceil(float((d2**2).max()) / spacing)))
    t = (np.arange(n_steps) / n_steps)[None, :, None]
    p1, p2, m1, m2 = (a[:, None, :] for a in (p1, p2, m1, m2))
    curve = (
        (2 * t**3 - 3 * t**2 + 1) * p1 + (t**3 - 2 * t**2 + t) * m1 + (3 * t**2 - 2 * t**3) * p2 + (t**3 - t**2) * m2
    )
    return _resample(np.vstack([curve.reshape(-1, 2), stroke[-1:]]), spacing)


def _resample(line: Stroke, spacing: float) -> Stroke:
    """Points evenly spaced along `line`: drawing costs by the point, and a screen sends many more than are needed."""
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    places = np.linspace(0.0, length[-1], 1 + math.ceil(length[-1] / spacing))
    return np.stack([np.interp(places, length, line[:, 0]), np.interp(places, length, line[:, 1])], axis=1)


def _render(strokes: Sequence[Stroke]) -> NDArray[np.uint8]:
    """Draw strokes given in frame units, anti-aliased, on an oversampled canvas."""
    side = FRAME_SIZE * _OVERSAMPLING
    canvas: NDArray[np.uint8] = np.zeros((side, side), np.uint8)
    # OpenCV's coordinates name pixel centres, ours pixel corners: hence the half.
    # It draws no line of a single point, but one from a point to itself.
    lines = [
        np.round((np.vstack([stroke, stroke[-1:]]) * _OVERSAMPLING - 0.5) * 2**_SHIFT).astype(np.int32)
        for stroke in strokes
    ]
    thickness = round(PEN_WIDTH * _OVERSAMPLING)
    cv2.polylines(canvas, lines, False, 255, thickness, cv2.LINE_AA, _SHIFT)
    return canvas
