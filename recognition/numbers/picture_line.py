"""A line of a picture, whose pieces are connected components and parts of components."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.components import INK_LEVEL, find_components, remove_lines
from recognition.errors import BlankInput
from recognition.frame import Frame, Region, frame_ink, region_of
from recognition.ink import Picture, find_ink
from recognition.numbers.lines import Line, crop_line, crop_unit
from recognition.numbers.pieces import Array, Box, Pieces
from recognition.numbers.strips import to_strip
from recognition.ruled_lines import remove_ruling

_MIN_SIDE = 0.1  # of the crop's height: smaller components are specks
_MIN_CUT_HEIGHT = 0.25  # of the crop's height: lower components are not two digits
_MIN_POINT, _MIN_PLACE_OF_POINT = 0.06, 0.5  # of the crop's height: size and place of dots, which are not specks
_MAX_CUT_OFF = 0.12  # of a component's ink may lie beyond a cut that is not made
_CUT_REACH = 0.12  # of the crop's height: a component is cut in the column with the least ink so near
_CUT_SLOPE = 0.3  # pixels of ink that a cut may save for each pixel that it is moved
_PART_WEIGHT = 0.4  # of the log-probability of a part of a component, chosen on composed validation numbers


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
