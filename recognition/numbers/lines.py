"""Finding the lines of writing in a picture or a drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.components import remove_lines
from recognition.errors import BlankInput
from recognition.ink import Picture, find_ink, is_dark_on_light, shrink
from recognition.ruled_lines import remove_ruling
from recognition.strokes import Stroke

_SEARCH_SIDE = 640  # pictures are shrunk to at most this many pixels a side to find lines
_MIN_HEIGHT = 7  # of a digit, in pixels of the shrunk picture
_MAX_PIECES = 1_500  # with more pieces of ink, a picture is a texture
_MARGIN = 0.18  # around a line, in heights of it
_MAX_SLOPE = 0.2
_MAX_MARK = 0.6  # of the height of a digit
_FULL_HEIGHT = 0.5  # of a picture: a line that is higher is all there is in it
_MIN_OVERLAP = 0.25  # of a box's height with a row that it belongs to
_CROP_HEIGHT = 96
MAX_LINES = 30  # of a picture
MAX_DRAWN_LINES = 15  # more are texture


@dataclass(frozen=True, slots=True)
class Line:
    """A line of writing in a picture, in its pixels: the text runs along `slope` from the left to the right."""

    left: float
    right: float
    top: float  # at `left`
    bottom: float
    slope: float = 0.0  # pixels down per pixel to the right


def crop_line(picture: Picture, line: Line) -> Picture:
    """The line made horizontal, at most `_CROP_HEIGHT` pixels high; `crop_unit` is its scale."""
    unit = crop_unit(line)
    size = max(2, round((line.right - line.left) / unit)), max(2, round((line.bottom - line.top) / unit))
    # From the crop to the picture: y follows the slope.
    to_picture = np.array([[unit, 0, line.left], [line.slope * unit, unit, line.top]])
    if unit > 2:  # averaged, because sampling every few pixels would miss thin strokes
        rows, columns = _extent(line, picture.shape)
        part, scale = picture[rows, columns], 1 / int(unit)
        small = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        to_picture[:, 2] -= columns.start, rows.start
        ratio = np.array([[small.shape[1] / part.shape[1]], [small.shape[0] / part.shape[0]]])
        to_picture, picture = to_picture * ratio, small
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop: Picture = cv2.warpAffine(picture, to_picture, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return crop


def crop_unit(line: Line) -> float:
    """Pixels of the picture per pixel of the crop of a line."""
    return max(1.0, (line.bottom - line.top) / _CROP_HEIGHT)


def _extent(line: Line, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a picture that a line covers, at least one of each."""
    drop = line.slope * (line.right - line.left)
    edges = (line.top + min(0, drop), line.bottom + max(0, drop)), (line.left, line.right)
    rows, columns = (
        slice(start := min(length - 1, max(0, int(low))), max(start + 1, min(length, math.ceil(high) + 1)))
        for (low, high), length in zip(edges, shape, strict=True)
    )
    return rows, columns


def darken_ink(picture: Picture) -> Picture:
    """The picture `[H, W]`, 0 = white, 1 = black, with dark ink on lighter paper."""
    small = shrink(picture, 128)
    return picture if is_dark_on_light(small - np.float32(np.median(small))) else 1 - picture


def find_lines(picture: Picture) -> list[Line]:
    """The lines of writing in a picture `[H, W]` of dark ink, top to bottom; none if there is only texture."""
    small = shrink(picture, _SEARCH_SIDE)
    scale = max(picture.shape) / max(small.shape)
    try:
        ink = find_ink(small).amount
    except BlankInput:
        return []
    boxes = _digit_sized(_boxes(remove_lines(remove_ruling(ink)), small.shape))
    if not len(boxes):
        return []
    height = float(np.median(boxes[:, 3] - boxes[:, 1]))
    slope = _slope(boxes, height)
    rows = [row for row in _rows(boxes, slope) if len(row) > 1 or not _is_mark(boxes[row[0]], height)]
    lines = [_line_around(boxes[row], slope, scale) for row in rows]
    if len(lines) == 1 and lines[0].bottom - lines[0].top > _FULL_HEIGHT * len(picture):
        return [_widen(lines[0], picture.shape[1])]
    return lines[:MAX_LINES]


def _boxes(ink: Picture, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Left, top, right and bottom of each piece of ink that may be writing, `[N, 4]`."""
    count, _, stats, _ = cv2.connectedComponentsWithStats((ink > 0.4).astype(np.uint8), connectivity=8)
    if count > _MAX_PIECES:
        return np.empty((0, 4))
    left, top, width, height, area = stats[1:].T
    is_frame = (width > 0.7 * shape[1]) & ((height > 0.7 * shape[0]) | (height < 0.1 * shape[0]))
    is_rule = (np.minimum(width, height) * 12 < np.maximum(width, height)) & (np.maximum(width, height) > 80)
    keep = ~is_frame & ~is_rule & (area >= 6)
    boxes: NDArray[np.float64] = np.stack([left, top, left + width, top + height], axis=1)[keep].astype(np.float64)
    return boxes


def _digit_sized(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The boxes that are as high as digits; specks, points and dashes are left out."""
    heights = boxes[:, 3] - boxes[:, 1]
    boxes, heights = boxes[heights >= _MIN_HEIGHT], heights[heights >= _MIN_HEIGHT]
    if not len(boxes):
        return boxes
    # Weighted by height: there may be more specks than digits.
    order = np.argsort(heights)
    typical = heights[order][np.searchsorted(heights[order].cumsum(), heights.sum() / 2)]
    sized: NDArray[np.float64] = boxes[(heights >= 0.4 * typical) & (heights <= 2.5 * typical)]
    return sized


def _is_mark(box: NDArray[np.float64], height: float) -> bool:
    """Whether a box is a point, comma or dash beside digits of this height."""
    return float(box[3] - box[1]) < _MAX_MARK * height


def _slope(boxes: NDArray[np.float64], height: float) -> float:
    """The median slope between the lower ends of neighbours."""
    x, bottom = (boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]
    dx, dy = x[None] - x[:, None], bottom[None] - bottom[:, None]
    is_neighbour = (dx > 0.3 * height) & (dx < 4 * height) & (np.abs(dy) < 0.6 * height)
    if is_neighbour.sum() < 2:
        return 0.0
    return float(np.clip(np.median(dy[is_neighbour] / dx[is_neighbour]), -_MAX_SLOPE, _MAX_SLOPE))


def _rows(boxes: NDArray[np.float64], slope: float) -> list[list[int]]:
    """Indices of the boxes of each row, top to bottom: boxes that overlap in height are in one row."""
    shift = slope * (boxes[:, 0] + boxes[:, 2]) / 2
    tops, bottoms = boxes[:, 1] - shift, boxes[:, 3] - shift
    rows: list[list[int]] = []
    extents: list[tuple[float, float]] = []  # median top and bottom of each row
    # The largest first: a comma below two rows belongs to the one that it overlaps more.
    for index in np.argsort(tops - bottoms).tolist():
        top, bottom = float(tops[index]), float(bottoms[index])
        shared = [(min(bottom, high) - max(top, low)) / (bottom - top) for low, high in extents]
        best = max(range(len(rows)), key=shared.__getitem__, default=-1)
        if best < 0 or shared[best] <= _MIN_OVERLAP:
            rows.append([])
            extents.append((top, bottom))
            best = len(rows) - 1
        rows[best].append(index)
        extents[best] = float(np.median(tops[rows[best]])), float(np.median(bottoms[rows[best]]))
    return sorted(rows, key=lambda row: float(np.median(tops[row] + bottoms[row])))


def _line_around(boxes: NDArray[np.float64], slope: float, scale: float) -> Line:
    left, right = float(boxes[:, 0].min()), float(boxes[:, 2].max())
    x = (boxes[:, 0] + boxes[:, 2]) / 2 - left
    top, bottom = float((boxes[:, 1] - slope * x).min()), float((boxes[:, 3] - slope * x).max())
    margin = _MARGIN * (bottom - top)
    return Line(
        (left - 2 * margin) * scale,
        (right + 2 * margin) * scale,
        (top - margin - slope * 2 * margin) * scale,
        (bottom + margin - slope * 2 * margin) * scale,
        slope,
    )


def _widen(line: Line, width: int) -> Line:
    """The line from the left to the right border: a digit may be missing that touches a printed line."""
    left = min(0.0, line.left)
    rise = line.slope * (left - line.left)
    return Line(left, max(float(width), line.right), line.top + rise, line.bottom + rise, line.slope)


def group_strokes(strokes: Sequence[Stroke]) -> list[list[int]]:
    """Indices of the strokes of each line of a drawing, top to bottom."""
    tops = np.array([stroke[:, 1].min() for stroke in strokes])
    bottoms = np.array([stroke[:, 1].max() for stroke in strokes])
    typical = float(np.median((bottoms - tops)[(bottoms - tops) >= 0.4 * (bottoms - tops).max()]))
    # A dot, a dash or the top of a 5 may be a little above or below the other strokes of its line.
    reach = np.where(bottoms - tops < 0.4 * typical, 0.25 * typical, 0.0)
    low, high = tops - reach, bottoms + reach
    lines: list[list[int]] = []
    for index in np.argsort(low).tolist():
        for line in lines:
            top, bottom = min(tops[i] for i in line), max(bottoms[i] for i in line)
            shared = min(high[index], max(high[i] for i in line)) - max(low[index], min(low[i] for i in line))
            if shared >= 0.35 * min(bottoms[index] - tops[index], bottom - top, typical):
                line.append(index)
                break
        else:
            lines.append([index])
    return lines
