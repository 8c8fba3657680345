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
# The paper of a photograph is estimated on a picture of about this size, with a median of this width.
_PAPER_SIDE = 64
_PAPER_WINDOW = 33


@dataclass(frozen=True, slots=True)
class Ink:
    """Ink found on a picture."""

    amount: Picture  # [H, W], 0 = paper, 1 = full ink
    clean: bool  # the paper was one even colour, so nothing was thresholded


def find_ink(picture: Picture) -> Ink:
    """The ink on a picture `[H, W]`. Raises `BlankInput` where nothing stands out from the paper."""
    paper = _even_paper(picture)
    clean = paper is not None
    contrast = picture - (_uneven_paper(picture) if paper is None else paper)
    contrast = contrast if _is_dark_on_light(contrast) else -contrast
    contrast = np.maximum(contrast, 0)
    return Ink(_stretch(contrast) if clean else _threshold(contrast), clean)


def _even_paper(picture: Picture) -> float | None:
    """The paper's value where one value makes up most of the picture, else None."""
    counts = np.bincount(np.round(picture * 255).astype(np.uint8).ravel(), minlength=256)
    commonest = int(counts.argmax()) / 255
    share = float((np.abs(picture - commonest) <= _SAME).mean())
    return commonest if share >= _CLEAN_SHARE else None


def _uneven_paper(picture: Picture) -> Picture:
    """The paper under the ink `[H, W]`: light and shade without strokes, by a median wider than any stroke."""
    scale = min(1.0, _PAPER_SIDE / max(picture.shape))
    size = [max(1, round(side * scale)) for side in reversed(picture.shape)]
    small = (cv2.resize(picture, size, interpolation=cv2.INTER_AREA) * 255).astype(np.uint8)
    window = min(_PAPER_WINDOW, max(size) // 2 * 2 + 1)
    median = cv2.medianBlur(small, window)
    smooth = cv2.GaussianBlur(median.astype(np.float32) / 255, (0, 0), 3)
    return cv2.resize(smooth, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_LINEAR)


def _is_dark_on_light(contrast: Picture) -> bool:
    """Whether what differs from the paper is darker than it. The outermost pixels count least: a frame may lie there."""
    height, width = contrast.shape
    margin_y, margin_x = height // 8, width // 8
    inner = contrast[margin_y : height - margin_y or None, margin_x : width - margin_x or None]
    inner = inner if inner.size and np.ptp(inner) >= LEAST_CONTRAST else contrast
    darker, lighter = np.maximum(inner, 0), np.maximum(-inner, 0)
    return float((darker**2).sum()) >= float((lighter**2).sum())


def _stretch(contrast: Picture) -> Picture:
    strongest = float(contrast.max(initial=0))
    if strongest < LEAST_CONTRAST:
        raise BlankInput
    return contrast / strongest


def _threshold(contrast: Picture) -> Picture:
    """Ink where the contrast exceeds Otsu's threshold, with soft edges; grain of the paper vanishes."""
    noise = float(np.median(contrast)) * 1.4826  # a robust deviation: half of the paper lies below its median
    level = _otsu(contrast)
    if level < max(LEAST_CONTRAST / 2, 2 * noise):
        level = max(LEAST_CONTRAST / 2, 2 * noise)
    above = contrast[contrast > level]
    if above.size < 3:
        raise BlankInput
    full = max(float(np.percentile(above, 60)), level * 1.3)
    low = level - 0.5 * (full - level)
    return np.clip((contrast - low) / (full - low), 0, 1).astype(np.float32)


def _otsu(values: Picture) -> float:
    top = float(np.percentile(values, 99.8)) or 1.0
    scaled = np.clip(values / top * 255, 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return float(level) / 255 * top
