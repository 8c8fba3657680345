"""Preprocessing of pictures: from a grey picture to the 28x28 frame in MNIST's geometry.

    picture  float32 [H, W], 0 to 1; the ink may be darker or lighter than the paper
    frame    float32 [28, 28], 0 = paper, 1 = ink: the ink scaled to fit 20x20, its centre of mass at `INK_CENTRE`

Where it is uncertain which ink is the digit, there are several candidates, and the network's scores decide.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model import FRAME_SIZE
from recognition.errors import BlankInput
from recognition.paper import LEAST_CONTRAST, Ink, Picture, between_bars, find_ink
from recognition.pieces import INK_LEVEL, keep_digit, remove_lines
from recognition.ruling import remove_ruling

Frame = NDArray[np.float32]

INK_SIZE = 20  # longer side of the ink in a frame, in pixels, as in MNIST
# Where the centre of mass lies, on both axes, in pixels from the frame's upper left corner. MNIST moved its digits by
# whole pixels, and always to between 14 and 15: half a pixel beyond the middle of the frame.
INK_CENTRE = FRAME_SIZE / 2 + 0.5
WORKING_SIDE = 256  # ink is looked for in at most this many pixels a side
_SMALL = 64  # a digit of fewer working pixels is looked at again from nearer, where the picture has more to show
_OVERSAMPLING = 4
# Stroke widths, in frame pixels, that are left alone: from the 5th to the 95th percentile of MNIST's.
_STROKE_RANGE = (1.8, 4.0)
# Taken off the digit score of a candidate that rests on a guess about the picture. Long border lines may be the roof
# of a 7, above all on clean paper. Chosen on the development sets, where one more or less does as well.
_PENALTY_LINES = 2.0
_PENALTY_LINES_IF_CLEAN = 3.0
_PENALTY_PAPER = 1.0
_PENALTY_RULING = 2.0
_PENALTY_SHADE = 2.0
_PENALTY_FRAME = 1.0
_PENALTY_DENOISED_FRAME = 2.0
# What is narrower than this in a frame, in pixels, is ink and no cloud or stripe.
_BROADEST_STROKE = 7


@dataclass(frozen=True, slots=True)
class Region:
    """The square of a drawing or picture that a frame shows, in the units of either; it may extend beyond them.

    Accurate to half a pixel of the frame.
    """

    left: float
    top: float
    side: float

    def scaled(self, by: float, left: float = 0, top: float = 0) -> Region:
        """The same square in units of which there are `by` to one of these, from an origin moved to `left`, `top`."""
        return Region(left + self.left * by, top + self.top * by, self.side * by)


WHOLE_FRAME = Region(0, 0, FRAME_SIZE)  # of a frame that was not made from anything larger


@dataclass(frozen=True, slots=True)
class Candidate:
    """A frame of what may be the digit in a picture."""

    frame: Frame
    penalty: float  # taken off its digit score
    region: Region  # in pixels of the picture


@dataclass(frozen=True, slots=True)
class _View:
    """A part of a picture, shrunk to the working size."""

    picture: Picture
    left: int  # where the part begins in the whole picture, in its pixels
    top: int
    scale: float  # pixels of the whole picture to one of these


@dataclass(frozen=True, slots=True)
class _Hypothesis:
    """The ink of a digit, under some assumption about the picture."""

    ink: Picture
    penalty: float
    view: _View

    def to_candidate(self) -> Candidate:
        view = self.view
        return Candidate(frame_ink(self.ink), self.penalty, region_of(self.ink).scaled(view.scale, view.left, view.top))


def normalize(picture: Picture) -> Frame:
    """The frame of the digit in a picture, as it most plainly is. Raises `BlankInput` where there is no ink."""
    return find_candidates(picture)[0].frame


def find_candidates(picture: Picture) -> list[Candidate]:
    """The frames of what may be the digit in a picture, the plainest first.

    They are: the main piece with what lies near it; all ink; the main piece without long lines along the border, or
    without ruled lines; the main piece if the paper is not as it seems, or lies in a shadow with edges; the main piece
    between bars; the picture as it is, if it has a frame's size. Raises `BlankInput` where there is no ink.
    """
    view = _view(picture)
    ink = find_ink(view.picture)
    digit = keep_digit(ink.amount)
    if (nearer := _zoom_in(picture, digit)) is not None:
        view = nearer
        ink = find_ink(view.picture)
        digit = keep_digit(ink.amount)
    if not (digit > INK_LEVEL).any():
        raise BlankInput
    plain = [_Hypothesis(digit, 0.0, view), _Hypothesis(ink.amount, 0.0, view)]
    distinct: list[_Hypothesis] = []
    for hypothesis in [*plain, *_guesses(ink, view), *_between_bars(picture)]:
        is_duplicate = any(np.array_equal(hypothesis.ink, other.ink) for other in distinct)
        if not is_duplicate and (hypothesis.ink > INK_LEVEL).any():
            distinct.append(hypothesis)
    found = [hypothesis.to_candidate() for hypothesis in distinct]
    return [*found, *_as_frames(picture, found[0].frame)] if picture.shape == found[0].frame.shape else found


def _guesses(ink: Ink, view: _View) -> Iterator[_Hypothesis]:
    """Hypotheses that rest on a guess about the picture."""
    if (unruled := remove_lines(ink.amount)) is not ink.amount:
        yield _Hypothesis(keep_digit(unruled), _PENALTY_LINES_IF_CLEAN if ink.is_clean else _PENALTY_LINES, view)
    yield from _unruled(ink.amount, _PENALTY_RULING, view)
    if ink.in_shade is not None:
        yield _Hypothesis(keep_digit(ink.in_shade), _PENALTY_SHADE, view)
        yield from _unruled(ink.in_shade, _PENALTY_SHADE + _PENALTY_RULING, view)
    if ink.alternative is not None:
        yield _Hypothesis(keep_digit(ink.alternative), _PENALTY_PAPER, view)


def _unruled(ink: Picture, penalty: float, view: _View) -> Iterator[_Hypothesis]:
    """Hypotheses without ruled lines, and without fragments of lines along the border, where there are any."""
    if (unruled := remove_ruling(ink)) is not ink:
        yield _Hypothesis(keep_digit(unruled), penalty, view)
        if (within := remove_lines(unruled)) is not unruled:
            yield _Hypothesis(keep_digit(within), penalty + 1, view)


def _as_frames(picture: Picture, known: Frame) -> Iterator[Candidate]:
    """A picture of a frame's size, taken as a frame, plain and denoised; nothing if it equals `known`."""
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    is_dark_paper = float(np.median(border)) > (float(picture.min()) + float(picture.max())) / 2
    plain = _full_range(1 - picture if is_dark_paper else picture)
    if float(np.abs(plain - known).max()) < LEAST_CONTRAST:
        return
    yield Candidate(plain, _PENALTY_FRAME, WHOLE_FRAME)
    samples = np.round(plain * 255).astype(np.uint8)
    window = np.ones((_BROADEST_STROKE, _BROADEST_STROKE), np.uint8)
    # Without specks; without clouds and stripes, the ink being dark or light.
    for denoised in (
        cv2.medianBlur(samples, 3),
        cv2.morphologyEx(samples, cv2.MORPH_TOPHAT, window),
        cv2.morphologyEx(samples, cv2.MORPH_BLACKHAT, window),
    ):
        if float(np.ptp(denoised)) >= LEAST_CONTRAST * 255:
            yield Candidate(_full_range(denoised.astype(np.float32)), _PENALTY_DENOISED_FRAME, WHOLE_FRAME)


def _full_range(picture: Picture) -> Frame:
    low, high = float(picture.min()), float(picture.max())
    frame: Frame = ((picture - low) / (high - low)).astype(np.float32)
    return np.clip(frame, 0, 1)


def _between_bars(picture: Picture) -> Iterator[_Hypothesis]:
    """The hypothesis without bars along the sides, where there are any and something is between them."""
    if (within := between_bars(picture)) is not None:
        view = _view(picture, *within)
        with contextlib.suppress(BlankInput):
            yield _Hypothesis(keep_digit(find_ink(view.picture).amount), _PENALTY_LINES_IF_CLEAN, view)


def _view(picture: Picture, rows: slice = slice(0, None), columns: slice = slice(0, None)) -> _View:
    """A part of a picture, shrunk to the size in which ink is looked for."""
    part = picture[rows, columns]
    small = _shrink(part)
    return _View(small, columns.start, rows.start, max(part.shape) / max(small.shape))


def _zoom_in(picture: Picture, digit: Picture) -> _View | None:
    """The part of a large picture around its digit, where that is small; `digit` is its ink, shrunk."""
    left, top, width, height = _bounding_box(digit)
    scale = max(picture.shape) / max(digit.shape)
    if scale <= 1 or not 0 < max(width, height) < _SMALL:
        return None
    margin = max(width, height)
    rows = slice(int(max(0, top - margin) * scale), int((top + height + margin) * scale))
    columns = slice(int(max(0, left - margin) * scale), int((left + width + margin) * scale))
    return _view(picture, rows, columns)


def _shrink(picture: Picture) -> Picture:
    scale = WORKING_SIDE / max(picture.shape)
    if scale >= 1:
        return picture
    size = [max(1, round(length * scale)) for length in reversed(picture.shape)]
    small: Picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return small


def _bounding_box(ink: Picture) -> tuple[int, int, int, int]:
    """Left, top, width and height of the ink; width 0 if there is none."""
    left, top, width, height = cv2.boundingRect((ink > INK_LEVEL).astype(np.uint8))
    return left, top, width, height


def frame_ink(ink: Picture) -> Frame:
    """Scale ink into MNIST's geometry, with strokes of a width that MNIST has. Raises `BlankInput` without ink."""
    crop, _, _, longer = _crop(ink)
    if longer == INK_SIZE:
        return _paste(crop)
    frame = _area_average(_centre(adjust_stroke(_enlarge(crop, longer))))
    # Fine strokes fade when averaged down; MNIST's reach full ink.
    return frame / max(float(frame.max()), 0.3)


def region_of(ink: Picture) -> Region:
    """Where the region of `frame_ink(ink)` lies on the ink, in its pixels. Raises `BlankInput` without ink."""
    crop, left, top, longer = _crop(ink)
    x, y = centre_of_mass(crop)
    unit = longer / INK_SIZE  # pixels to one of the frame
    return Region(left + float(x) - INK_CENTRE * unit, top + float(y) - INK_CENTRE * unit, FRAME_SIZE * unit)


def _crop(ink: Picture) -> tuple[Picture, int, int, int]:
    """The part that holds the ink, where that begins from the left and the top, and the longer side of the ink."""
    left, top, width, height = _bounding_box(ink)
    if width == 0:
        raise BlankInput
    # One pixel more on each side keeps the anti-aliased rim.
    first_row, first_column = max(0, top - 1), max(0, left - 1)
    crop = ink[first_row : top + height + 1, first_column : left + width + 1]
    return crop, first_column, first_row, max(width, height)


def _paste(crop: Picture) -> Frame:
    """Move ink that has the right size already by whole pixels, as MNIST was made, so that it stays untouched."""
    shift = np.round(INK_CENTRE - centre_of_mass(crop))
    return _translate(crop, shift, FRAME_SIZE)


def _enlarge(crop: Picture, longer: int) -> Picture:
    """The crop at the frame's scale times the oversampling; `longer` is the longer side of its ink."""
    scale = _OVERSAMPLING * INK_SIZE / longer
    size = [max(1, round(length * scale)) for length in reversed(crop.shape)]
    large: Picture = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return np.clip(large, 0, 1)


def _centre(large: Picture) -> Picture:
    side = FRAME_SIZE * _OVERSAMPLING
    return _translate(large, INK_CENTRE * _OVERSAMPLING - centre_of_mass(large), side)


def _translate(picture: Picture, shift: NDArray[np.float64], side: int) -> Picture:
    moved: Picture = cv2.warpAffine(picture, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]), (side, side))
    return moved


def _area_average(large: Picture) -> Frame:
    frame: Frame = cv2.resize(large, (FRAME_SIZE, FRAME_SIZE), interpolation=cv2.INTER_AREA)
    return frame


def stroke_width(ink: Picture) -> float:
    """Median width of the strokes, in pixels: twice the distance to the paper, along the strokes' middle lines."""
    mask = (ink > 0.5).astype(np.uint8)
    # A border of paper, because the distance is to the nearest paper within the picture.
    distance = cv2.distanceTransform(cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 5)
    ridge = (distance > 0) & (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8)) - 1e-6)
    return 2 * float(np.median(distance[ridge])) if ridge.any() else 0.0


def adjust_stroke(large: Picture) -> Picture:
    """Broaden strokes finer, and thin strokes broader, than nearly all of MNIST's, on the oversampled drawing."""
    width = stroke_width(large) / _OVERSAMPLING
    change = round((float(np.clip(width, *_STROKE_RANGE)) - width) * _OVERSAMPLING)
    if change == 0:
        return large
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (abs(change) + 1, abs(change) + 1))
    margin = abs(change) // 2 + 1
    padded = cv2.copyMakeBorder(large, margin, margin, margin, margin, cv2.BORDER_CONSTANT)
    adjusted: Picture = cv2.erode(padded, pen) if change < 0 else cv2.dilate(padded, pen)
    return adjusted


def centre_of_mass(picture: NDArray[np.generic]) -> NDArray[np.float64]:
    """Centre of mass `[x, y]` of a picture's ink, in pixels from the upper left corner; the middle if there is none."""
    height, width = picture.shape
    moments = cv2.moments(picture)
    if moments["m00"] <= 0:
        return np.array([width / 2, height / 2])
    # A pixel's mass lies at its middle, half a pixel in from its corner.
    centre: NDArray[np.float64] = np.array([moments["m10"], moments["m01"]]) / moments["m00"] + 0.5
    return centre
