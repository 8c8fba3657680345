"""A line of a drawing or picture: its strip, and the pieces of its ink from left to right.

A piece is a stroke or a connected component, or a part of one that was cut between two digits. A digit is one or
several neighbouring pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from model_file import STRIP_HEIGHT
from recognition.components import INK_LEVEL, find_components, remove_lines
from recognition.errors import BlankInput
from recognition.frame import Frame, Region, frame_ink, region_of
from recognition.ink import Stroke, draw_with_region, length, line_height, smooth_evenly
from recognition.numbers.lines import Line, crop_line, crop_unit
from recognition.numbers.strips import Strip, to_strip
from recognition.paper import Picture, find_ink
from recognition.ruling import remove_ruling

Array = NDArray[np.float64]
Box = tuple[float, float, float, float]  # left, top, width and height, in units of the drawing or pixels of the picture

_PEN = 2.6  # pixels of a strip
_INK_HEIGHT = 25.0  # of a drawn line in its strip
_SPACING = 0.5  # pixels of a strip between the points of a smooth stroke
_MAX_POINTS = 10_000  # of a smooth line, twice as many as a line of fifty digits has
_MARGIN = 7  # pixels of a strip left and right of a drawn line
_MIN_SHARE = 0.75  # of a stroke's length in one digit: it is not cut
_MIN_SIDE = 0.1  # of the crop's height: smaller components are specks
_MIN_CUT_HEIGHT = 0.25  # of the crop's height: lower components are not two digits
_MIN_POINT, _MIN_PLACE_OF_POINT = 0.06, 0.5  # of the crop's height: size and place of points, which are no specks
_MAX_CUT_OFF = 0.12  # of a component's ink may lie beyond a cut that is not made
_CUT_REACH = 0.12  # of the crop's height: a component is cut in the column with the least ink so near
_CUT_SLOPE = 0.3  # pixels of ink that a cut may save for each pixel that it is moved

# Of log-probabilities. Chosen on composed validation numbers.
_PART_WEIGHT, _COUNT_WEIGHT = 0.4, 0.5
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


class Pieces(Protocol):
    """The pieces of a line, in the order of their middles."""

    @property
    def boxes(self) -> Array:
        """Left, top, right and bottom of each, `[N, 4]`."""

    @property
    def sources(self) -> NDArray[np.int64]:
        """Which stroke or component each is, or was cut from, `[N]`."""

    def frame(self, first: int, end: int) -> tuple[Frame, Region]:
        """The frame of the pieces `first` to `end - 1`, and its region. Raises `BlankInput`."""

    def weigh(self, log_p: Array, first: int, end: int) -> Array:
        """The log-probabilities `[10]` that these are a digit, by their frame, weighed by how they were found."""


class InkLine(Protocol):
    """A line to read."""

    @property
    def strip(self) -> Strip:
        """What the number reader's network sees."""

    def pieces(self, cuts: Sequence[float]) -> Pieces:
        """The pieces of the line whose digits are parted at `cuts`, in columns of the strip."""

    def box(self, start: float, end: float) -> Box:
        """The box of the columns `start` to `end` of the strip, clipped to the line."""


# ---- drawings ----


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


# ---- pictures ----


class PictureLine:
    """A line of a picture of dark ink; boxes and regions are multiplied by `scale`."""

    def __init__(self, picture: Picture, line: Line, scale: float = 1.0) -> None:
        self._line, self._scale = line, scale
        self._crop = crop_line(picture, line)
        self._unit = crop_unit(line)
        self.strip = to_strip(self._crop)
        self._column = self._crop.shape[1] / self.strip.shape[1]  # pixels of the crop per column of the strip

    def pieces(self, cuts: Sequence[float]) -> Pieces:
        """See `InkLine`."""
        places = [cut * self._column for cut in cuts]
        pieces = sorted(_cut_components(self._crop, places), key=lambda p: p.left + p.right)
        return InkPieces(pieces, self._line, self._unit, self._scale)

    def box(self, start: float, end: float) -> Box:
        """See `InkLine`."""
        line, height = self._line, self._line.bottom - self._line.top
        column = self._column * self._unit
        left, right = np.clip([line.left + x * column for x in (start, end)], line.left, line.right).tolist()
        top = line.top + line.slope * ((left + right) / 2 - line.left)
        return left * self._scale, top * self._scale, max(1.0, right - left) * self._scale, height * self._scale


@dataclass(frozen=True, slots=True)
class _InkPiece:
    left: int  # of the crop of the line
    top: int
    ink: Picture
    component: int

    @property
    def right(self) -> int:
        return self.left + int(self.ink.shape[1])

    @property
    def bottom(self) -> int:
        return self.top + int(self.ink.shape[0])


@dataclass(frozen=True)
class InkPieces:
    """Connected components of the ink of a line, and the parts of those that hold several digits."""

    items: list[_InkPiece]
    line: Line
    unit: float  # pixels of the picture per pixel of the crop
    scale: float

    @cached_property
    def sources(self) -> NDArray[np.int64]:
        """See `Pieces`."""
        return np.array([piece.component for piece in self.items], np.int64)

    @cached_property
    def boxes(self) -> Array:
        """See `Pieces`."""
        corners = np.array([[p.left, p.top, p.right, p.bottom] for p in self.items], float).reshape(-1, 4)
        left, top, right, bottom = (corners * self.unit).T
        shift = self.line.top + self.line.slope * (left + right) / 2
        start = self.line.left
        return self.scale * np.stack([left + start, top + shift, right + start, bottom + shift], axis=1)

    def frame(self, first: int, end: int) -> tuple[Frame, Region]:
        """See `Pieces`."""
        chosen = self.items[first:end]
        left, top = min(p.left for p in chosen), min(p.top for p in chosen)
        size = max(p.bottom for p in chosen) - top, max(p.right for p in chosen) - left
        ink = np.zeros(size, np.float32)
        for piece in chosen:
            part = ink[piece.top - top : piece.bottom - top, piece.left - left : piece.right - left]
            np.maximum(part, piece.ink, out=part)
        x = self.line.left + self.unit * left
        y = self.line.top + self.unit * top + self.line.slope * self.unit * (left + size[1] / 2)
        return frame_ink(ink), region_of(ink).scaled(self.unit, x, y).scaled(self.scale)

    def weigh(self, log_p: Array, first: int, end: int) -> Array:
        """See `Pieces`: a part of a component may have been cut in the wrong place."""
        sources = self.sources
        is_part = np.isin(np.delete(sources, slice(first, end)), sources[first:end]).any()
        return _PART_WEIGHT * log_p if is_part else log_p


def _cut_components(crop: Picture, cuts: Sequence[float]) -> Iterator[_InkPiece]:
    try:
        ink = remove_lines(remove_ruling(find_ink(crop).amount))
    except BlankInput:
        return
    components = find_components(ink)
    height, total_width = crop.shape
    for index, (left, top, right, bottom) in enumerate(components.boxes.tolist(), start=1):
        is_rule = right - left > 0.7 * total_width and bottom - top < _MIN_SIDE * height
        is_point = top > _MIN_PLACE_OF_POINT * height
        if max(right - left, bottom - top) < (_MIN_POINT if is_point else _MIN_SIDE) * height or is_rule:
            continue
        # The faint edges of the strokes belong to the component.
        x0, y0 = max(0, left - 1), max(0, top - 1)
        window = slice(y0, bottom + 1), slice(x0, right + 1)
        near = cv2.dilate((components.labels[window] == index).astype(np.uint8), np.ones((3, 3), np.uint8))
        part = np.where(near > 0, ink[window], 0).astype(np.float32)
        is_dash = bottom - top < _MIN_CUT_HEIGHT * height
        columns = [] if is_dash else _columns_to_cut(part, [cut - x0 for cut in cuts], height)
        for start, end in pairwise([0, *columns, part.shape[1]]):
            if (part[:, start:end] > INK_LEVEL).any():
                yield _InkPiece(x0 + start, y0, part[:, start:end], index)


def _columns_to_cut(ink: Picture, cuts: Sequence[float], height: int) -> list[int]:
    """The columns in which a component is cut: near those `cuts` that have some of its ink on both sides."""
    amount = (ink > INK_LEVEL).sum(axis=0)
    columns = set()
    for cut in cuts:
        if not 2 < cut < len(amount) - 2:
            continue
        if not _MAX_CUT_OFF < amount[: int(cut)].sum() / amount.sum() < 1 - _MAX_CUT_OFF:
            continue
        reach = _CUT_REACH * height
        near = np.arange(max(1, int(cut - reach)), min(len(amount) - 1, int(cut + reach) + 1))
        columns.add(int(near[np.argmin(amount[near] + _CUT_SLOPE * np.abs(near - cut))]))
    return sorted(columns)
