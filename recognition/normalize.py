"""Preprocessing of pictures: from a grey picture to the 28x28 frame in MNIST's geometry.

    picture  float32 [H, W], 0 to 1; the ink may be darker or lighter than the paper
    frame    float32 [28, 28]; see `recognition.frame`

Where it is uncertain which ink is the digit, there are several candidates, each of which counts by its digit score.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from model_file import FRAME_SIZE
from recognition.components import INK_LEVEL, keep_digit, remove_lines
from recognition.errors import BlankInput
from recognition.frame import INK_SIZE, WHOLE_FRAME, Frame, Region, bounding_box, frame_ink, region_of
from recognition.ink import MIN_CONTRAST, Ink, Picture, area_between_bars, find_ink, shrink
from recognition.ruled_lines import remove_ruling

_SEARCH_SIDE = 256  # pictures are shrunk to at most this many pixels a side to find the ink
_MIN_DIGIT_SIDE = 64  # a digit that is smaller after shrinking is cropped from the full picture first
# Subtracted from the digit score of a candidate that depends on an assumption about the picture.
_ASSUMPTION_PENALTY = 1.5
# Subtracted if nearly all ink lies along the border of the picture: a line of grid paper has the form of a 1, two
# that meet have that of a 7, and only their position shows that they are not digits.
_BORDER_PENALTY = 5.0
_BORDER = 0.18  # of a side
_BORDER_LENGTH = 0.6  # of a side, which such lines have at least
_MARGIN = (FRAME_SIZE - INK_SIZE) // 2
_MIN_SIDE_COVERAGE = 0.3  # share of each side that a 0 covers if it fills the picture
_MIN_INNER = 0.5  # share of a frame's ink inside its margin; of evenly spread ink, 0.51 is
_LINE_LENGTH = 0.85  # of a side; shorter lines may be strokes of a digit that fills the picture
_MAX_STROKE = 7  # pixels of a frame; broader structures are fog or stripes, not ink


@dataclass(frozen=True, slots=True)
class Candidate:
    """A frame of what may be the digit in a picture."""

    frame: Frame
    penalty: float  # subtracted from its digit score
    region: Region  # in pixels of the picture


@dataclass(frozen=True, slots=True)
class _View:
    """A crop of a picture, shrunk to the size in which ink is searched."""

    picture: Picture
    left: int  # of the crop, in pixels of the whole picture
    top: int
    scale: float  # pixels of the whole picture per pixel of the view


@dataclass(frozen=True, slots=True)
class _Hypothesis:
    """The ink of a digit under an assumption about the picture."""

    ink: Picture
    penalty: float
    view: _View

    def to_candidate(self, shape: tuple[int, ...]) -> Candidate:
        """The candidate in a picture of this shape."""
        view = self.view
        penalty = self.penalty + _BORDER_PENALTY * self._is_along_border(shape)
        return Candidate(frame_ink(self.ink), penalty, region_of(self.ink).scaled(view.scale, view.left, view.top))

    def _is_along_border(self, shape: tuple[int, ...]) -> bool:
        """Whether the ink is as long as a side, and less than a tenth of it is far from the border of the picture.

        Ink along all four sides is a 0 that fills the picture, or a printed box, which the network rejects.
        """
        view = self.view
        _, _, *extent = bounding_box(self.ink)
        if max(extent) * view.scale < _BORDER_LENGTH * max(shape):
            return False
        rows, columns = (
            slice(*(max(0, round((edge * length - start) / view.scale)) for edge in (_BORDER, 1 - _BORDER)))
            for length, start in zip(shape, (view.top, view.left), strict=True)
        )
        mask = self.ink > INK_LEVEL
        sides = mask[: rows.start], mask[rows.stop :], mask[:, : columns.start].T, mask[:, columns.stop :].T
        if all(side.any(axis=0).mean() > _MIN_SIDE_COVERAGE for side in sides):
            return False
        return float(self.ink[rows, columns].sum()) < 0.1 * float(self.ink.sum())


def normalize(picture: Picture) -> Frame:
    """The frame of a picture's first candidate: the main component and those near it. Raises `BlankInput`."""
    return find_candidates(picture)[0].frame


def find_candidates(picture: Picture) -> list[Candidate]:
    """Frames of what may be the digit in a picture. Raises `BlankInput` where there is no ink.

    The first two are the main component with those near it, and all ink; they depend on no assumption, unless the ink
    may be dark or light. The others assume neighbours that are cut off, lines along the border, ruled paper, shadows
    with sharp edges, a digit that fills the picture, paper and ink swapped, bars along the sides, or that the picture
    is a frame already.
    """
    view = _make_view(picture)
    ink = find_ink(view.picture)
    digit = keep_digit(ink.amount)
    if (closer := _zoom_in(picture, digit)) is not None:
        view = closer
        ink = find_ink(view.picture)
        digit = keep_digit(ink.amount)
    if not (digit > INK_LEVEL).any():
        raise BlankInput
    penalty = _ASSUMPTION_PENALTY if ink.is_ambiguous else 0.0
    primary = [_Hypothesis(digit, penalty, view), _Hypothesis(ink.amount, penalty, view)]
    distinct: list[_Hypothesis] = []
    for hypothesis in [*primary, *_assumptions(ink, view), *_without_bars(picture)]:
        is_duplicate = any(np.array_equal(hypothesis.ink, other.ink) for other in distinct)
        if not is_duplicate and (hypothesis.ink > INK_LEVEL).any():
            distinct.append(hypothesis)
    found = [hypothesis.to_candidate(picture.shape) for hypothesis in distinct]
    return [*found, *_as_frames(picture, found[0].frame)] if picture.shape == found[0].frame.shape else found


def _assumptions(ink: Ink, view: _View) -> Iterator[_Hypothesis]:
    """Hypotheses that depend on an assumption about the ink or the paper."""
    yield _Hypothesis(keep_digit(ink.amount, is_cropped=True), _ASSUMPTION_PENALTY, view)
    if (inner := remove_lines(ink.amount, _LINE_LENGTH)) is not ink.amount:
        yield _Hypothesis(keep_digit(inner), _ASSUMPTION_PENALTY, view)
    yield from _without_ruling(ink.amount, view)
    if ink.in_shade is not None:
        yield _Hypothesis(keep_digit(ink.in_shade), _ASSUMPTION_PENALTY, view)
        yield from _without_ruling(ink.in_shade, view)
    for alternative in ink.alternatives:
        yield _Hypothesis(keep_digit(alternative), _ASSUMPTION_PENALTY, view)


def _without_ruling(ink: Picture, view: _View) -> Iterator[_Hypothesis]:
    """Hypotheses without ruled lines, and without lines along the border as well; none if there are no ruled lines."""
    if (unruled := remove_ruling(ink)) is not ink:
        yield _Hypothesis(keep_digit(unruled), _ASSUMPTION_PENALTY, view)
        if (inner := remove_lines(unruled, _LINE_LENGTH)) is not unruled:
            yield _Hypothesis(keep_digit(inner), _ASSUMPTION_PENALTY, view)


def _as_frames(picture: Picture, known: Frame) -> Iterator[Candidate]:
    """Candidates for a picture of a frame's size: itself and denoised; none if it equals the frame `known`."""
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    is_dark_paper = float(np.median(border)) > (float(picture.min()) + float(picture.max())) / 2
    plain = _full_range(1 - picture if is_dark_paper else picture)
    if float(np.abs(plain - known).max()) < MIN_CONTRAST:
        return
    samples = np.round(plain * 255).astype(np.uint8)
    window = np.ones((_MAX_STROKE, _MAX_STROKE), np.uint8)
    # Without specks; without fog and stripes, for light ink and for dark ink.
    filtered = (
        cv2.medianBlur(samples, 3),
        cv2.morphologyEx(samples, cv2.MORPH_TOPHAT, window),
        cv2.morphologyEx(samples, cv2.MORPH_BLACKHAT, window),
    )
    denoised = [_full_range(each.astype(np.float32)) for each in filtered if np.ptp(each) >= MIN_CONTRAST * 255]
    for frame in [plain, *denoised]:
        # Ink that is concentrated in the margin is a letter or a pattern that fills the picture.
        inner = frame[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
        if float(inner.sum()) > _MIN_INNER * float(frame.sum()):
            yield Candidate(frame, _ASSUMPTION_PENALTY, WHOLE_FRAME)


def _full_range(picture: Picture) -> Frame:
    low, high = float(picture.min()), float(picture.max())
    frame: Frame = ((picture - low) / (high - low)).astype(np.float32)
    return np.clip(frame, 0, 1)


def _without_bars(picture: Picture) -> Iterator[_Hypothesis]:
    """The hypothesis that bars along the sides are not ink; none if there are no bars, or nothing between them."""
    if (inner := area_between_bars(picture)) is not None:
        view = _make_view(picture, *inner)
        with contextlib.suppress(BlankInput):
            yield _Hypothesis(keep_digit(find_ink(view.picture).amount), _ASSUMPTION_PENALTY, view)


def _make_view(picture: Picture, rows: slice = slice(0, None), columns: slice = slice(0, None)) -> _View:
    crop = picture[rows, columns]
    small = shrink(crop, _SEARCH_SIDE)
    return _View(small, columns.start, rows.start, max(crop.shape) / max(small.shape))


def _zoom_in(picture: Picture, digit: Picture) -> _View | None:
    """A view of the area around a small digit in a large picture, else None; `digit` is its ink in the first view."""
    left, top, width, height = bounding_box(digit)
    scale = max(picture.shape) / max(digit.shape)
    if scale <= 1 or not 0 < max(width, height) < _MIN_DIGIT_SIDE:
        return None
    margin = max(width, height)
    rows = slice(int(max(0, top - margin) * scale), int((top + height + margin) * scale))
    columns = slice(int(max(0, left - margin) * scale), int((left + width + margin) * scale))
    return _make_view(picture, rows, columns)
