"""The frame, 28x28 pixels in MNIST's geometry: 0 = paper, 1 = ink.

The bounding box of the ink is scaled to fit 20x20, strokes that are unusually fine or broad are adjusted, and the
centre of mass is moved to `INK_CENTRE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from model_file import FRAME_SIZE
from recognition.components import INK_LEVEL
from recognition.errors import BlankInput
from recognition.ink import Picture

Frame = NDArray[np.float32]
Scalar = TypeVar("Scalar", np.float32, np.uint8)

INK_SIZE = 20  # longer side of the ink in a frame, in pixels, as in MNIST
# Both coordinates of the centre of mass, in pixels from the frame's upper left corner. MNIST's digits were moved by
# whole pixels, to between 14 and 15: half a pixel beyond the middle of the frame.
INK_CENTRE = FRAME_SIZE / 2 + 0.5
OVERSAMPLING = 4  # ink is drawn this many times larger than the frame and averaged down
# Stroke widths, in frame pixels, that are not adjusted: the 5th to the 95th percentile of MNIST's.
_STROKE_RANGE = (1.8, 4.0)


@dataclass(frozen=True, slots=True)
class Region:
    """The square of a drawing or picture that a frame shows, in units of the drawing or pixels of the picture.

    It may extend beyond them, and is accurate to half a pixel of the frame.
    """

    left: float
    top: float
    side: float

    def scaled(self, factor: float, left: float = 0, top: float = 0) -> Region:
        """The region in other units: multiplied by `factor`, then moved by `left` and `top`."""
        return Region(left + self.left * factor, top + self.top * factor, self.side * factor)


WHOLE_FRAME = Region(0, 0, FRAME_SIZE)  # the region of a frame that was not made from a drawing or picture


def frame_ink(ink: Picture) -> Frame:
    """Scale ink to MNIST's geometry and stroke width. Raises `BlankInput` without ink."""
    crop, _, _, longer = _crop(ink)
    if longer == INK_SIZE:
        return _paste(crop)
    frame = average_down(_centre(adjust_stroke(_oversample(crop, longer))))
    # Averaging makes fine strokes fainter; MNIST's reach full ink.
    return frame / max(float(frame.max()), 0.3)


def region_of(ink: Picture) -> Region:
    """The region of `ink` that `frame_ink(ink)` shows, in pixels of `ink`. Raises `BlankInput` without ink."""
    crop, left, top, longer = _crop(ink)
    x, y = centre_of_mass(crop)
    unit = longer / INK_SIZE  # pixels of `ink` per pixel of the frame
    return Region(left + float(x) - INK_CENTRE * unit, top + float(y) - INK_CENTRE * unit, FRAME_SIZE * unit)


def _crop(ink: Picture) -> tuple[Picture, int, int, int]:
    """The part with the ink, its left and its top, and the longer side of the ink."""
    left, top, width, height = bounding_box(ink)
    if width == 0:
        raise BlankInput
    # One pixel more on each side keeps the anti-aliased edge.
    first_row, first_column = max(0, top - 1), max(0, left - 1)
    crop = ink[first_row : top + height + 1, first_column : left + width + 1]
    return crop, first_column, first_row, max(width, height)


def _paste(crop: Picture) -> Frame:
    """Move ink that already has the right size, by whole pixels as in MNIST, so that its values do not change."""
    shift = np.round(INK_CENTRE - centre_of_mass(crop))
    return translate(crop, shift, FRAME_SIZE)


def _oversample(crop: Picture, longer: int) -> Picture:
    """The crop resized to `OVERSAMPLING` times the frame's scale; `longer` is the longer side of its ink."""
    scale = OVERSAMPLING * INK_SIZE / longer
    size = [max(1, round(length * scale)) for length in reversed(crop.shape)]
    large: Picture = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return np.clip(large, 0, 1)


def _centre(large: Picture) -> Picture:
    side = FRAME_SIZE * OVERSAMPLING
    return translate(large, INK_CENTRE * OVERSAMPLING - centre_of_mass(large), side)


def translate(picture: NDArray[Scalar], shift: NDArray[np.float64], side: int) -> NDArray[Scalar]:
    """Move a picture by `shift`, x and y in pixels, onto a square of `side` pixels a side."""
    moved: NDArray[Scalar] = cv2.warpAffine(picture, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]), (side, side))
    return moved


def average_down(large: NDArray[Scalar]) -> NDArray[Scalar]:
    """An oversampled picture at the size of a frame, `[28, 28]`."""
    frame: NDArray[Scalar] = cv2.resize(large, (FRAME_SIZE, FRAME_SIZE), interpolation=cv2.INTER_AREA)
    return frame


def stroke_width(ink: Picture) -> float:
    """Median width of the strokes, in pixels: twice the distance to the paper along the ridge of the strokes."""
    mask = (ink > 0.5).astype(np.uint8)
    # The border is padded with paper, because the distance is to the nearest paper pixel of the picture.
    distance = cv2.distanceTransform(cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 5)
    ridge = (distance > 0) & (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8)) - 1e-6)
    return 2 * float(np.median(distance[ridge])) if ridge.any() else 0.0


def adjust_stroke(large: Picture) -> Picture:
    """Broaden strokes that are finer, and thin those that are broader, than nearly all of MNIST's; oversampled ink."""
    width = stroke_width(large) / OVERSAMPLING
    change = round((float(np.clip(width, *_STROKE_RANGE)) - width) * OVERSAMPLING)
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
    # The centre of a pixel is half a pixel from its corner.
    centre: NDArray[np.float64] = np.array([moments["m10"], moments["m01"]]) / moments["m00"] + 0.5
    return centre


def bounding_box(ink: Picture) -> tuple[int, int, int, int]:
    """Left, top, width and height of the ink; width 0 if there is none."""
    left, top, width, height = cv2.boundingRect((ink > INK_LEVEL).astype(np.uint8))
    return left, top, width, height
