"""Grey picture to the 28x28 frame: the one eye through which every digit is seen.

    picture  float32 [H, W], 0 to 1; the ink may be darker or lighter than the paper
    frame    float32 [28, 28], 0 = paper, 1 = ink: the ink scaled to fit 20x20, its centre of mass in the middle
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from model import FRAME_SIZE
from recognition.errors import BlankInput

Picture = NDArray[np.float32]
Frame = NDArray[np.float32]

INK_SIZE = 20  # longer side of the ink in a frame, in pixels, as in MNIST
# Below this difference from the paper, of a range of 1, there is no ink: noise of the camera or the compression.
_LEAST_CONTRAST = 0.06
# Ink above this share of the darkest counts for the bounding box; fainter rims do not.
_BOX_LEVEL = 0.25
_OVERSAMPLING = 4


def normalize(picture: Picture) -> Frame:
    """The frame of the digit in a picture. Raises `BlankInput` where there is no ink."""
    return frame_ink(find_ink(picture))


def find_ink(picture: Picture) -> Picture:
    """How much ink lies on each pixel, 0 to 1. Raises `BlankInput`."""
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    contrast = picture - np.median(border)
    if -contrast.min() > contrast.max():
        contrast = -contrast
    strongest = float(contrast.max())
    if strongest < _LEAST_CONTRAST:
        raise BlankInput
    return np.clip(contrast / strongest, 0, 1).astype(np.float32)


def frame_ink(ink: Picture) -> Frame:
    """Scale and move ink into MNIST's geometry. Raises `BlankInput` where there is none."""
    left, top, width, height = cv2.boundingRect((ink > _BOX_LEVEL).astype(np.uint8))
    if width == 0:
        raise BlankInput
    # One pixel more on each side keeps the anti-aliased rim.
    crop = ink[max(0, top - 1) : top + height + 1, max(0, left - 1) : left + width + 1]
    if max(width, height) == INK_SIZE:
        return _paste(crop)
    scale = _OVERSAMPLING * INK_SIZE / max(width, height)
    size = [max(1, round(side * scale)) for side in reversed(crop.shape)]
    large = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    shift = FRAME_SIZE * _OVERSAMPLING / 2 - centre_of_mass(large)
    side = FRAME_SIZE * _OVERSAMPLING
    centred = cv2.warpAffine(large, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]), (side, side))
    return cv2.resize(centred, (FRAME_SIZE, FRAME_SIZE), interpolation=cv2.INTER_AREA)


def _paste(crop: Picture) -> Frame:
    """Move ink that has the right size already by whole pixels, as MNIST was made, so that it stays untouched."""
    shift = np.round(FRAME_SIZE / 2 - centre_of_mass(crop))
    return cv2.warpAffine(crop, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]), (FRAME_SIZE, FRAME_SIZE))


def centre_of_mass(picture: NDArray[np.generic]) -> NDArray[np.float64]:
    """Centre of mass `[x, y]` of a picture's ink, in pixels from the upper left corner; the middle if there is none."""
    height, width = picture.shape
    moments = cv2.moments(picture)
    if moments["m00"] <= 0:
        return np.array([width / 2, height / 2])
    # A pixel's mass lies at its middle, half a pixel in from its corner.
    return np.array([moments["m10"], moments["m01"]]) / moments["m00"] + 0.5
