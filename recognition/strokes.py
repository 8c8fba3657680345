"""Pen strokes to the 28x28 frame.

A stroke is a list of points `[x, y]`, y down, in any unit. It is scaled to the frame *before* it is drawn, with a pen
of MNIST's stroke width, so the frame does not depend on the position and size of the drawing or on the screen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from config import Limits
from model_file import FRAME_SIZE
from recognition.errors import N_, BlankInput, InvalidStrokes
from recognition.frame import INK_CENTRE, INK_SIZE, OVERSAMPLING, Frame, Region, average_down, centre_of_mass, translate

Stroke = NDArray[np.float64]  # [N, 2], x and y

# Median stroke width of the MNIST training pictures is 2.5 px by the distance transform; a line that OpenCV draws at
# this width, anti-aliased, measures the same.
PEN_WIDTH = 2.0
# Fractional bits of the fixed-point coordinates that OpenCV takes; 16 is its maximum.
_SHIFT = 16
# Length of the straight pieces that a spline is drawn in, in pixels of the frame.
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
            # Compared before any conversion: an integer of 400 digits does not fit a float.
            if not -limits.max_coordinate <= coordinate <= limits.max_coordinate:
                sentence = N_("A coordinate is finite and within ±%(most)s.")
                raise InvalidStrokes(sentence, pointer, most=f"{limits.max_coordinate:g}")
    return np.array(stroke, dtype=np.float64)


def draw(strokes: Sequence[Stroke]) -> Frame:
    """The frame of a drawing: its longer side fits 20 px, its centre of mass is at `INK_CENTRE`. At least one point."""
    return draw_with_region(strokes)[0]


def draw_with_region(strokes: Sequence[Stroke], *, are_smooth: bool = False) -> tuple[Frame, Region]:
    """The frame of `draw`, and the region that it shows, in units of the drawing.

    Strokes that `are_smooth` already are drawn as they are.
    """
    frame, shift = render(_fit(strokes) if are_smooth else trace(strokes))
    return frame.astype(np.float32) / np.float32(255), _region(strokes, shift)


def trace(strokes: Sequence[Stroke]) -> list[Stroke]:
    """The lines to draw, in pixels of the frame: the strokes, fitted to it and smoothed."""
    fitted = _fit(strokes)
    # Limits the cost of a scribble of a thousand lines across the frame, which is drawn coarsely.
    spacing = max(_SPACING, sum(map(length, fitted)) / _MAX_DRAWN_POINTS)
    return [smooth(stroke, spacing) for stroke in fitted]


def render(lines: Sequence[Stroke], pen_width: float = PEN_WIDTH) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The frame of lines given in its pixels, uint8, and how far they were moved to their centre of mass."""
    canvas = _render(lines, pen_width)
    shift = INK_CENTRE * OVERSAMPLING - centre_of_mass(canvas)
    return average_down(translate(canvas, shift, len(canvas))), shift / OVERSAMPLING


def _fit(strokes: Sequence[Stroke]) -> list[Stroke]:
    """Scale and move strokes so that their ink, pen included, has the size `INK_SIZE` and is centred in the frame."""
    middle, extent = _extent(strokes)
    scale = (INK_SIZE - PEN_WIDTH) / extent if extent else 0.0
    return [(stroke - middle) * scale + FRAME_SIZE / 2 for stroke in strokes]


def _region(strokes: Sequence[Stroke], shift: NDArray[np.float64]) -> Region:
    """The region that the frame shows if the strokes that `_fit` returns are moved by `shift`, in frame pixels."""
    middle, extent = _extent(strokes)
    unit = extent / (INK_SIZE - PEN_WIDTH) if extent else 1.0  # of the drawing per pixel of the frame
    left, top = middle - (FRAME_SIZE / 2 + shift) * unit
    return Region(float(left), float(top), FRAME_SIZE * unit)


def _extent(strokes: Sequence[Stroke]) -> tuple[NDArray[np.float64], float]:
    """Centre `[x, y]` and longer side of the bounding box of all points; 0 for a tap, which is drawn as a dot."""
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    extent = float((high - low).max())
    # Coordinates reach 1e5, so an extent below 1e-6 is rounding.
    return (low + high) / 2, extent if extent > 1e-6 else 0.0


def line_height(low: Stroke, high: Stroke) -> float:
    """Height of a drawn line from `low` to `high`, at least a sixteenth of its width: a dash is lower than a digit."""
    width, height = (high - low).tolist()
    return float(max(height, width / 16, 1e-6))


def length(stroke: Stroke) -> float:
    """The length of the lines between the points, in their units."""
    return float(np.linalg.norm(np.diff(stroke, axis=0), axis=1).sum())


def smooth(stroke: Stroke, spacing: float) -> Stroke:
    """A centripetal Catmull-Rom spline through the points, which makes no loops at corners.

    Source: Yuksel et al. 2011, doi:10.1016/j.cad.2010.08.008.
    """
    steps = np.linalg.norm(np.diff(stroke, axis=0), axis=1)
    # Coincident points have no direction. The bound is so small that even 10,000 dropped points are not visible.
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


def smooth_evenly(stroke: Stroke, spacing: float) -> Stroke:
    """The spline of `smooth` with points at most `spacing` apart, also where it is a straight line of two points."""
    line = smooth(stroke, spacing)
    return _resample(line, spacing) if len(line) == 2 else line


def _resample(line: Stroke, spacing: float) -> Stroke:
    """Points along `line`, evenly and at most `spacing` apart: screens send many more, and each costs time to draw."""
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    places = np.linspace(0.0, lengths[-1], 1 + math.ceil(lengths[-1] / spacing))
    return np.stack([np.interp(places, lengths, line[:, 0]), np.interp(places, lengths, line[:, 1])], axis=1)


def _render(strokes: Sequence[Stroke], pen_width: float) -> NDArray[np.uint8]:
    """Draw strokes given in frame units, anti-aliased, on an oversampled canvas."""
    side = FRAME_SIZE * OVERSAMPLING
    canvas: NDArray[np.uint8] = np.zeros((side, side), np.uint8)
    # OpenCV's coordinates refer to pixel centres, ours to pixel corners: hence 0.5.
    # It does not draw a line of a single point, so the last point is repeated.
    lines = [
        np.round((np.vstack([stroke, stroke[-1:]]) * OVERSAMPLING - 0.5) * 2**_SHIFT).astype(np.int32)
        for stroke in strokes
    ]
    thickness = round(pen_width * OVERSAMPLING)
    cv2.polylines(canvas, lines, False, 255, thickness, cv2.LINE_AA, _SHIFT)
    return canvas
