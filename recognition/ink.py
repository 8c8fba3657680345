"""Binarisation: the amount of ink per pixel, independent of lighting, paper and polarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.errors import BlankInput

Picture = NDArray[np.float32]
Mask = NDArray[np.uint8]

# Smaller differences from the paper, of a range of 1, are camera noise or compression artefacts.
MIN_CONTRAST = 0.06
# Values this close to the most common one are paper.
_PAPER_TOLERANCE = 2.5 / 255
# A picture with this share of its pixels at one value is clean, and is not thresholded.
_CLEAN_SHARE = 0.5
# Contrast below this share of the strokes' is paper, above one minus this share full ink; edges are in between.
_FAINT = 0.3
# If more of a picture than this is ink, ink and paper may be swapped.
_HEAVY = 0.3
# If more than this share is dark and more than this share light, either may be the ink.
_BALANCED = 0.4
_MIN_BROAD = 0.2  # of the picture must be found to be ink, or its dark half is a shadow
# A bar differs from the paper beside it by at least this, of a range of 1.
_BAR_CONTRAST = 0.3
# The paper of a photograph is estimated on a picture of this size, with a median of this width: wider than a stroke.
_PAPER_SIDE = 64
_PAPER_WINDOW = 33
# Shade is separated from ink on a picture of this size; dark areas broader than this share of it are shade.
_SHADE_SIDE = 128
_SHADE_WINDOW = 0.3
_MIN_SHADE = 0.1  # shade makes paper darker by at least this, of a range of 1
_PAPER_SAMPLES = 8_000  # pixels sampled for the median of the paper
_MIN_LIGHT = 0.3  # with less light than this, differences are mostly noise


@dataclass(frozen=True, slots=True)
class Ink:
    """The ink on a picture, each `[H, W]`, 0 = paper, 1 = full ink."""

    amount: Picture
    alternatives: Sequence[Picture]  # the ink under other assumptions about the paper, if that is uncertain
    in_shade: Picture | None  # the ink if the paper has shadows with sharp edges
    is_ambiguous: bool  # dark and light areas are about equally large: either may be the ink


def find_ink(picture: Picture) -> Ink:
    """The ink on a picture `[H, W]`. Raises `BlankInput` where nothing stands out from the paper."""
    uniform = _uniform_paper(picture)
    contrast = picture - (_local_paper(picture) if uniform is None else uniform)
    sign = 1 if is_dark_on_light(contrast) else -1
    in_shade = _ink_in_shade(picture)
    if uniform is not None:  # a clean picture keeps its grey levels
        amount = _stretch(sign * contrast)
        ink_share = float((amount > 0.5).mean())
        return Ink(amount, [1 - amount] if ink_share > _HEAVY else [], in_shade, _is_balanced(ink_share))
    amount = _threshold(sign * contrast)
    dark_share = float((picture > _otsu(picture)).mean())
    alternatives = _broad_ink(picture) if _HEAVY < dark_share < 1 - _HEAVY else []
    # Half of a sheet may lie in shadow, but little of it is ink.
    is_ambiguous = _is_balanced(dark_share) and float((amount > 0.5).mean()) > _MIN_BROAD
    return Ink(amount, alternatives, in_shade, is_ambiguous)


def _is_balanced(share: float) -> bool:
    return _BALANCED < share < 1 - _BALANCED


def _broad_ink(picture: Picture) -> list[Picture]:
    """Dark and light ink if a digit fills the picture, so that the paper cannot be estimated."""
    try:
        dark = _threshold(picture)
    except BlankInput:
        return []
    return [dark, 1 - dark]


def _ink_in_shade(picture: Picture) -> Picture | None:
    """The ink if broad dark areas are shadows, even with sharp edges; None if there are none."""
    small = cv2.medianBlur(_shrink_to_bytes(picture, _SHADE_SIDE), 3)
    darkness, small = (picture, small) if _has_dark_strokes(small) else (1 - picture, 255 - small)
    # A grey opening removes what is narrower than its window, and keeps the edges of everything else in place.
    window = max(3, round(_SHADE_WINDOW * max(small.shape)))
    opened = cv2.morphologyEx(small, cv2.MORPH_OPEN, np.ones((window, window), np.uint8))
    if int(np.ptp(opened)) < _MIN_SHADE * 255:
        return None
    paper = _resize_like(opened.astype(np.float32) / 255, picture)
    try:
        # Ink absorbs a share of the light that falls on it, so the contrast is lower in the shade.
        return _threshold(((darkness - paper) / np.maximum(1 - paper, _MIN_LIGHT)).astype(np.float32))
    except BlankInput:
        return None


def _has_dark_strokes(picture: NDArray[np.uint8]) -> bool:
    """Whether narrow structures are dark: strokes skew the local differences, edges of shadows do not."""
    detail = picture.astype(np.float32) - cv2.blur(picture, (_PAPER_WINDOW, _PAPER_WINDOW))
    return float((detail * detail * detail).sum()) >= 0


def _uniform_paper(picture: Picture) -> float | None:
    """The paper's value where one value makes up most of the picture, else None."""
    counts = np.bincount(np.round(picture * 255).astype(np.uint8).ravel(), minlength=256)
    commonest = int(counts.argmax()) / 255
    share = float((np.abs(picture - commonest) <= _PAPER_TOLERANCE).mean())
    return commonest if share >= _CLEAN_SHARE else None


def _local_paper(picture: Picture) -> Picture:
    """The paper under the ink `[H, W]`: light and shade without strokes."""
    small = _shrink_to_bytes(picture, _PAPER_SIDE)
    window = min(_PAPER_WINDOW, max(small.shape) // 2 * 2 + 1)
    return _resize_like(cv2.GaussianBlur(cv2.medianBlur(small, window).astype(np.float32) / 255, (0, 0), 3), picture)


def _shrink_to_bytes(picture: Picture, max_side: int) -> NDArray[np.uint8]:
    return (shrink(picture, max_side) * 255).astype(np.uint8)


def shrink(picture: Picture, max_side: int) -> Picture:
    """The picture, averaged down to at most `max_side` pixels a side."""
    scale = max_side / max(picture.shape)
    if scale >= 1:
        return picture
    size = [max(1, round(length * scale)) for length in reversed(picture.shape)]
    small: Picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return small


def _resize_like(small: NDArray[np.float32], like: Picture) -> Picture:
    large: Picture = cv2.resize(small, (like.shape[1], like.shape[0]), interpolation=cv2.INTER_LINEAR)
    return large


def is_dark_on_light(contrast: Picture) -> bool:
    """Whether the ink is darker than the paper; the margin is ignored, because it may show a printed frame."""
    height, width = contrast.shape
    margin_y, margin_x = height // 8, width // 8
    inner = contrast[margin_y : height - margin_y, margin_x : width - margin_x]
    if np.ptp(inner) < MIN_CONTRAST:
        inner = contrast
    return float((np.maximum(inner, 0) ** 2).sum()) >= float((np.minimum(inner, 0) ** 2).sum())


def _stretch(contrast: Picture) -> Picture:
    strongest = float(contrast.max())
    if strongest < MIN_CONTRAST:
        raise BlankInput
    return (np.maximum(contrast, 0) / strongest).astype(np.float32)


def _threshold(contrast: Picture) -> Picture:
    """Soft threshold between the contrast of the paper and that of the strokes; removes grain."""
    # Otsu's threshold falls within the grain if the ink is a small digit on a large sheet.
    levels = _levels(contrast, _otsu(contrast)) or _levels(contrast, float(cv2.blur(contrast, (3, 3)).max()) / 2)
    if levels is None:
        raise BlankInput
    depth = levels.strokes - levels.paper
    low, full = max(_FAINT * depth, min(2 * levels.noise, 0.5 * depth)), (1 - _FAINT) * depth
    ink: Picture = np.clip((contrast - (levels.paper + low)) / (full - low), 0, 1).astype(np.float32)
    return ink


@dataclass(frozen=True, slots=True)
class _Levels:
    """Median contrast of the strokes and of the paper, and the standard deviation of the paper's grain."""

    strokes: float
    paper: float
    noise: float


def _levels(contrast: Picture, threshold: float) -> _Levels | None:
    """The levels above and below a threshold; None if they are too similar for ink and paper."""
    ink = contrast[contrast > threshold]
    # The median of all pixels would be expensive; an odd step spreads the samples over all columns.
    samples = contrast.ravel()[:: contrast.size // _PAPER_SAMPLES | 1]
    paper = samples[samples <= threshold]
    if ink.size < 3 or paper.size == 0:
        return None
    strokes, level = float(np.median(ink)), float(np.median(paper))
    if strokes - level < MIN_CONTRAST / 2:
        return None
    # The median absolute deviation, which is robust against outliers.
    return _Levels(strokes, level, noise=1.4826 * float(np.median(np.abs(paper - level))))


def _otsu(values: Picture) -> float:
    """Otsu's threshold (1979, doi:10.1109/TSMC.1979.4310076), with the highest 0.2 % of the values clipped."""
    top = max(float(np.percentile(values, 99.8)), 1e-3)
    scaled = np.clip(values / top * 255, 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return float(level) / 255 * top


def area_between_bars(picture: Picture) -> tuple[slice, slice] | None:
    """Rows and columns of the area between bars that a scanner or video player added; None if there are no bars."""
    rows = slice(_bar_height(picture), picture.shape[0] - _bar_height(picture[::-1]))
    columns = slice(_bar_height(picture.T), picture.shape[1] - _bar_height(picture.T[::-1]))
    inner = picture[rows, columns]
    is_trimmed = inner.shape != picture.shape and min(inner.shape) >= 3
    return (rows, columns) if is_trimmed and float(np.ptp(inner)) >= MIN_CONTRAST else None


def _bar_height(picture: Picture) -> int:
    """Number of rows at the top that have one colour, if the rows below have another."""
    # A bar covers less than half; most photographs end the search at their first row.
    half = picture[: len(picture) // 2]
    if not len(half) or np.abs(half[0] - picture[0, 0]).max() > MIN_CONTRAST:
        return 0
    is_one_colour = np.maximum(half.max(axis=1) - picture[0, 0], picture[0, 0] - half.min(axis=1)) <= MIN_CONTRAST
    if is_one_colour.all():
        return 0
    height = int(is_one_colour.argmin())
    below = float(np.median(picture[height : height + 2]))
    return height if abs(below - float(picture[0, 0])) > _BAR_CONTRAST else 0
