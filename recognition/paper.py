"""Paper and light: how much ink lies on each pixel of a picture, whatever the lighting, the paper and the polarity."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.errors import BlankInput

Picture = NDArray[np.float32]

# Below this difference from the paper, of a range of 1, there is no ink: noise of the camera or the compression.
LEAST_CONTRAST = 0.06
# Values this close to the commonest one are the same paper.
_SAME = 2.5 / 255
# A picture with this share of its pixels on one value was drawn or scanned clean, and is left as it is.
_CLEAN_SHARE = 0.5
# Contrast below this share of the strokes' is paper, above the rest of it full ink; the rims lie between.
_FAINT = 0.3
# Where more of a clean picture than this is ink, it may be the paper.
_HEAVY = 0.3
# A bar differs from the paper beside it by at least this, of a range of 1.
_BAR_CONTRAST = 0.3
# The paper of a photograph is estimated on a picture of this size, with a median of this width: wider than a stroke.
_PAPER_SIDE = 64
_PAPER_WINDOW = 33


@dataclass(frozen=True, slots=True)
class Ink:
    """The ink on a picture, each `[H, W]`, 0 = paper, 1 = full ink."""

    amount: Picture
    otherwise: Picture | None  # what is ink if the paper is not as it seems
    is_clean: bool  # the paper was one even value


def find_ink(picture: Picture) -> Ink:
    """The ink on a picture `[H, W]`. Raises `BlankInput` where nothing stands out from the paper."""
    even = _even_paper(picture)
    contrast = picture - (_uneven_paper(picture) if even is None else even)
    sign = 1 if _is_dark_on_light(contrast) else -1
    if even is None:
        return Ink(_threshold(sign * contrast), _ink_in_even_light(sign * picture), is_clean=False)
    # A clean picture keeps its greys: a threshold would only spoil them.
    amount = _stretch(sign * contrast)
    is_heavy = float((amount > 0.5).mean()) > _HEAVY
    return Ink(amount, 1 - amount if is_heavy else None, is_clean=True)


def _ink_in_even_light(darkness: Picture) -> Picture | None:
    """The ink if all that is dark were ink: a digit that fills its picture is too broad to estimate the paper by."""
    try:
        return _threshold(darkness - np.float32(np.median(darkness)))
    except BlankInput:
        return None


def _even_paper(picture: Picture) -> float | None:
    """The paper's value where one value makes up most of the picture, else None."""
    counts = np.bincount(np.round(picture * 255).astype(np.uint8).ravel(), minlength=256)
    commonest = int(counts.argmax()) / 255
    share = float((np.abs(picture - commonest) <= _SAME).mean())
    return commonest if share >= _CLEAN_SHARE else None


def _uneven_paper(picture: Picture) -> Picture:
    """The paper under the ink `[H, W]`: light and shade without strokes."""
    scale = min(1.0, _PAPER_SIDE / max(picture.shape))
    size = [max(1, round(side * scale)) for side in reversed(picture.shape)]
    small = (cv2.resize(picture, size, interpolation=cv2.INTER_AREA) * 255).astype(np.uint8)
    window = min(_PAPER_WINDOW, max(size) // 2 * 2 + 1)
    smooth = cv2.GaussianBlur(cv2.medianBlur(small, window).astype(np.float32) / 255, (0, 0), 3)
    paper: Picture = cv2.resize(smooth, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_LINEAR)
    return paper


def _is_dark_on_light(contrast: Picture) -> bool:
    """Whether what differs from the paper is darker than it. The outermost eighth does not count: frames lie there."""
    height, width = contrast.shape
    margin_y, margin_x = height // 8, width // 8
    inner = contrast[margin_y : height - margin_y, margin_x : width - margin_x]
    if np.ptp(inner) < LEAST_CONTRAST:
        inner = contrast
    return float((np.maximum(inner, 0) ** 2).sum()) >= float((np.minimum(inner, 0) ** 2).sum())


def _stretch(contrast: Picture) -> Picture:
    strongest = float(contrast.max())
    if strongest < LEAST_CONTRAST:
        raise BlankInput
    return (np.maximum(contrast, 0) / strongest).astype(np.float32)


def _threshold(contrast: Picture) -> Picture:
    """Ink where the contrast is nearer to the strokes' than to the paper's, with soft edges; grain vanishes."""
    is_ink = contrast > _otsu(contrast)
    if int(is_ink.sum()) < 3 or is_ink.all():
        raise BlankInput
    paper, strokes = float(np.median(contrast[~is_ink])), float(np.median(contrast[is_ink]))
    noise = 1.4826 * float(np.median(np.abs(contrast[~is_ink] - paper)))  # a deviation that no outlier moves
    depth = strokes - paper
    if depth < LEAST_CONTRAST / 2:
        raise BlankInput
    low, full = max(_FAINT * depth, min(2 * noise, 0.5 * depth)), (1 - _FAINT) * depth
    ink: Picture = np.clip((contrast - paper - low) / (full - low), 0, 1).astype(np.float32)
    return ink


def _otsu(values: Picture) -> float:
    """Otsu's threshold (1979, doi:10.1109/TSMC.1979.4310076), not misled by a few extreme values."""
    top = max(float(np.percentile(values, 99.8)), 1e-3)
    scaled = np.clip(values / top * 255, 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return float(level) / 255 * top


def between_bars(picture: Picture) -> tuple[slice, slice] | None:
    """Rows and columns without the bars of another colour along the sides that scanners and films leave.

    None if there are no such bars, or nothing between them.
    """
    rows = slice(_bar(picture), picture.shape[0] - _bar(picture[::-1]))
    columns = slice(_bar(picture.T), picture.shape[1] - _bar(picture.T[::-1]))
    within = picture[rows, columns]
    is_trimmed = within.shape != picture.shape and min(within.shape) >= 3
    return (rows, columns) if is_trimmed and float(np.ptp(within)) >= LEAST_CONTRAST else None


def _bar(picture: Picture) -> int:
    """How many of the upper rows are of one colour, if the rows below them are of another."""
    # Bars take less than half, and a first row of several colours ends the search before it costs a large photograph.
    half = picture[: len(picture) // 2]
    if not len(half) or np.abs(half[0] - picture[0, 0]).max() > LEAST_CONTRAST:
        return 0
    is_even = np.abs(half - picture[0, 0]).max(axis=1) <= LEAST_CONTRAST
    if is_even.all():
        return 0
    height = int(is_even.argmin())
    below = float(np.median(picture[height : height + 2]))
    return height if abs(below - float(picture[0, 0])) > _BAR_CONTRAST else 0
