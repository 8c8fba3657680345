"""A line of a drawing, whose pieces are strokes and parts of strokes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from model_file import STRIP_HEIGHT
from recognition.frame import Frame, Region
from recognition.numbers.pieces import Array, Box, Pieces
from recognition.numbers.strips import Strip, to_strip
from recognition.strokes import Stroke, draw_with_region, length, line_height, smooth_evenly

_PEN = 2.6  # pixels of a strip
_INK_HEIGHT = 25.0  # of a drawn line in its strip
_SPACING = 0.5  # pixels of a strip between the points of a smooth stroke
_MAX_POINTS = 10_000  # of a smooth line, twice as many as a line of fifty digits has
_MARGIN = 7  # pixels of a strip left and right of a drawn line
_MIN_SHARE = 0.75  # of a stroke's length in one digit: it is not cut

_COUNT_WEIGHT = 0.5  # of the log-probabilities below, chosen on composed validation numbers
# How many in a thousand of the digits 0 to 9 are written in one, two, three and four strokes: UNIPEN and pendigits,
# training writers.
_LOG_P_OF_COUNT = np.log(
    np.array(
        [
            [811, 928, 992, 992, 181, 231, 989, 384, 852, 970],
            [185, 61, 6, 5, 800, 759, 8, 562, 142, 28],
            [2, 10, 1, 1, 15, 8, 1, 52, 3, 1],
            [2, 1, 1, 1, 3, 1, 1, 2, 1, 1],
        ]
    )
    / 1000
)


class DrawnLine:
    """A line of a drawing."""

    def __init__(self, strokes: Sequence[Stroke]) -> None:
        points = np.concatenate(strokes)
        self._low, self._high = points.min(axis=0), points.max(axis=0)
        # Smoothed once, for the strip and for the frames of all pieces; a scribble coarsely, which limits its cost.
        spacing = max(_SPACING * _unit(self._low, self._high), sum(map(length, strokes)) / _MAX_POINTS)
        self._strokes = [smooth_evenly(stroke, spacing) for stroke in strokes]
        self.strip, self.unit, self.left = draw_strip(self._strokes)

    def pieces(self, cuts: Sequence[float]) -> Pieces:
        """See `InkLine`."""
        places = [self.left + cut * self.unit for cut in cuts]
        parts = [(part, i) for i, stroke in enumerate(self._strokes) for part in _cut_stroke(stroke, places)]
        parts.sort(key=lambda pair: float(pair[0][:, 0].min() + pair[0][:, 0].max()))
        return StrokePieces([part for part, _ in parts], np.array([i for _, i in parts]))

    def box(self, start: float, end: float) -> Box:
        """See `InkLine`."""
        left, right = np.clip([self.left + x * self.unit for x in (start, end)], self._low[0], self._high[0]).tolist()
        return left, float(self._low[1]), right - left, float(self._high[1] - self._low[1])


def draw_strip(strokes: Sequence[Stroke]) -> tuple[Strip, float, float]:
    """The strip of a line of smooth strokes, the drawing's units per column, and where in it the strip begins."""
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    width, height = (high - low).tolist()
    unit = _unit(low, high)
    columns = round(width / unit) + 2 * _MARGIN
    fine = 4
    canvas = np.zeros((STRIP_HEIGHT * fine, columns * fine), np.uint8)
    offset = np.array([_MARGIN, (STRIP_HEIGHT - height / unit) / 2])
    for stroke in strokes:
        line = (stroke - low) / unit + offset
        fixed = np.round((np.vstack([line, line[-1:]]) * fine - 0.5) * 256).astype(np.int32)
        cv2.polylines(canvas, [fixed], False, 255, round(_PEN * fine), cv2.LINE_AA, 8)
    ink = cv2.resize(canvas, (columns, STRIP_HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)
    return to_strip(ink / np.float32(255)), unit, float(low[0]) - _MARGIN * unit


def _unit(low: Array, high: Array) -> float:
    """Units of a drawing per pixel of the strip, for a line from `low` to `high`."""
    return line_height(low, high) / (_INK_HEIGHT - _PEN)


@dataclass(frozen=True)
class StrokePieces:
    """Strokes, and parts of strokes across several digits."""

    strokes: list[Stroke]
    sources: NDArray[np.int64]  # see `Pieces`

    @cached_property
    def boxes(self) -> Array:
        """See `Pieces`."""
        return np.array([[*stroke.min(axis=0), *stroke.max(axis=0)] for stroke in self.strokes]).reshape(-1, 4)

    def frame(self, first: int, end: int) -> tuple[Frame, Region]:
        """See `Pieces`."""
        return draw_with_region(self.strokes[first:end], are_smooth=True)

    def weigh(self, log_p: Array, first: int, end: int) -> Array:
        """See `Pieces`: some digits are written in more strokes than others."""
        weighed: Array = log_p + _COUNT_WEIGHT * _LOG_P_OF_COUNT[min(end - first, len(_LOG_P_OF_COUNT)) - 1]
        return weighed


def _cut_stroke(stroke: Stroke, cuts: Sequence[float]) -> Iterator[Stroke]:
    digit = np.searchsorted(np.asarray(cuts, float), stroke[:, 0])
    # The points are at even distances, so that their number is a length.
    if np.bincount(digit).max() >= _MIN_SHARE * len(stroke):
        yield stroke
        return
    start, part = 0, [stroke[:0]]
    for index in np.flatnonzero(np.diff(digit)).tolist():
        before, after = stroke[index], stroke[index + 1]
        crossed = cuts[min(digit[index : index + 2]) : max(digit[index : index + 2])]
        part.append(stroke[start : index + 1])
        start = index + 1
        for cut in crossed if before[0] < after[0] else reversed(crossed):
            end = before + (after - before) * (cut - before[0]) / (after[0] - before[0])
            yield np.concatenate([*part, end[None]])
            part = [end[None]]
    yield np.concatenate([*part, stroke[start:]])
