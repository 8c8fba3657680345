"""Pictures and frames as small PNG files that a page can show."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_PREVIEW_SIDE = 560  # twice the side of the page's canvas, for dense screens


@dataclass(frozen=True, slots=True)
class Preview:
    """A small copy of a picture, to be shown beside its prediction."""

    png: bytes
    size: tuple[int, int]  # width and height of the whole picture, in pixels of its file


def make_preview(picture: NDArray[np.float32], scale: float) -> Preview:
    """The preview of a picture `[H, W]` whose pixels are `scale` pixels of the file wide."""
    height, width = picture.shape
    return Preview(to_png(thumbnail(picture)), (round(width * scale), round(height * scale)))


def frame_png(frame: NDArray[np.float32]) -> bytes:
    """A frame `[28, 28]` as a PNG file: 0 (paper) is black, 1 (ink) is white."""
    return to_png(_grey(frame))


def thumbnail(picture: NDArray[np.float32], side: int = _PREVIEW_SIDE) -> Image.Image:
    """A picture `[H, W]`, 0 = white, 1 = black, averaged down to at most `side` pixels a side."""
    image = _grey(1 - picture)
    image.thumbnail((side, side))
    return image


def png_data_url(png: bytes) -> str:
    """A PNG file as a data URL."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _grey(values: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray((np.clip(values, 0, 1) * 255).round().astype(np.uint8))


def to_png(image: Image.Image) -> bytes:
    """An image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
