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
from recognition.paper import find_ink
from recognition.pieces import INK_LEVEL, keep_digit, remove_lines

Picture = NDArray[np.float32]
Frame = NDArray[np.float32]

INK_SIZE = 20  # longer side of the ink in a frame, in pixels, as in MNIST
WORKING_SIDE = 256  # ink is looked for in at most this many pixels a side
_OVERSAMPLING = 4
# Stroke widths, in frame pixels, that are left alone: from the 5th to the 95th percentile of MNIST's.
_STROKE_RANGE = (1.8, 4.0)


def normalize(picture: Picture) -> Frame:
    """The frame of the digit in a picture, as it most plainly is. Raises `BlankInput` where there is no ink."""
    return candidates(picture)[0]


def candidates(picture: Picture) -> list[Frame]:
    """Frames of the digit in a picture, one for each way to tell it from what surrounds it, the plainest first.

    Raises `BlankInput` where there is no ink.
    """
    return [frame_ink(_cut_out(ink)) for ink in isolate(picture)]


def isolate(picture: Picture) -> list[Picture]:
    """The ink of the digit alone, at a size of at most 256 pixels, for each reading. Raises `BlankInput`."""
    ink = find_ink(_shrink(picture, WORKING_SIDE))
    readings = [keep_digit(ink.amount), ink.amount]
    if not ink.clean:
        unruled = remove_lines(ink.amount)
        if unruled is not ink.amount and (unruled > INK_LEVEL).any(): readings = [keep_digit(unruled), *readings]
    seen=[]
    for r in readings:
        if not any(np.array_equal(r, s) for s in seen): seen.append(r)
    return seen


def _shrink(picture: Picture, side: int) -> Picture:
    scale = side / max(picture.shape)
    if scale >= 1:
        return picture
    size = [max(1, round(length * scale)) for length in reversed(picture.shape)]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _cut_out(ink: Picture) -> Picture:
    """The bounding box of the ink, and a pixel more on each side that keeps its rims. Raises `BlankInput`."""
    left, top, width, height = cv2.boundingRect((ink > INK_LEVEL).astype(np.uint8))
    if width == 0:
        raise BlankInput
    return ink[max(0, top - 1) : top + height + 1, max(0, left - 1) : left + width + 1]


def frame_ink(ink: Picture) -> Frame:
    """Scale ink, cut out, into MNIST's geometry, with a stroke of a width that MNIST has."""
    box = cv2.boundingRect((ink > INK_LEVEL).astype(np.uint8))
    longer = max(box[2:])
    if longer == INK_SIZE:
        return _paste(ink)
    large = cv2.resize(ink, None, fx=(s := _OVERSAMPLING * INK_SIZE / longer), fy=s, interpolation=cv2.INTER_AREA if s < 1 else cv2.INTER_CUBIC)
    large = adjust_stroke(np.clip(large, 0, 1))
    shift = FRAME_SIZE * _OVERSAMPLING / 2 - centre_of_mass(large)
    side = FRAME_SIZE * _OVERSAMPLING
    centred = cv2.warpAffine(large, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]), (side, side))
    frame = cv2.resize(centred, (FRAME_SIZE, FRAME_SIZE), interpolation=cv2.INTER_AREA)
    return frame / max(float(frame.max()), 0.3)


def stroke_width(ink: Picture) -> float:
    """Median width of the strokes, in pixels: twice the distance to the paper, along the strokes' middle lines."""
    mask = (ink > 0.5).astype(np.uint8)
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    ridge = (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8)) - 1e-6) & (mask > 0)
    return 2 * float(np.median(distance[ridge])) if ridge.any() else 0.0


def adjust_stroke(ink: Picture) -> Picture:
    """Broaden strokes finer, and thin strokes broader, than nearly all of MNIST's."""
    width = stroke_width(ink) / _OVERSAMPLING
    change = round((np.clip(width, *_STROKE_RANGE) - width) * _OVERSAMPLING)
    if abs(change) < 1:
        return ink
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (abs(change) + 1, abs(change) + 1))
    if change < 0:
        return cv2.erode(ink, pen)
    margin = change // 2 + 1
    padded = cv2.copyMakeBorder(ink, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0)
    return cv2.dilate(padded, pen)


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
