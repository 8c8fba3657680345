"""Strips: a line of writing as the number reader sees it.

A strip is float32 `[32, W]`: 0 = paper, 1 = the darkest ink, -1 to 1.5. It is relative to the paper's median and the
ink's darkness, so that it does not depend on light.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from model_file import STRIP_HEIGHT
from recognition.ink import Picture

Strip = NDArray[np.float32]

MIN_WIDTH, MAX_WIDTH = 16, 1024
_MIN_DEPTH = 0.04  # of the darkest ink below the paper, of a range of 1


def to_strip(picture: Picture) -> Strip:
    """The strip of a picture `[H, W]` of one line of dark writing, 0 = white, 1 = black."""
    height, width = picture.shape
    size = int(np.clip(round(width * STRIP_HEIGHT / height), MIN_WIDTH, MAX_WIDTH)), STRIP_HEIGHT
    is_larger = height > STRIP_HEIGHT
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if is_larger else cv2.INTER_LINEAR)
    paper, dark, darkest = np.percentile(small, [50, 97, 99.5])
    # The ink may cover less than three percent; what covers less than half a percent may be grain.
    depth = max(dark - paper, 0.8 * (darkest - paper), _MIN_DEPTH)
    strip: Strip = np.clip((small - paper) / depth, -1, 1.5).astype(np.float32)
    return strip
