"""Untrusted bytes to a grey picture. The decode policy lives here and nowhere else.

Formats are PNG, JPEG, GIF (first frame), BMP and WebP; the pixel limit holds before anything is decoded; JPEG is
decoded at reduced scale. Rotation tags, transparency, palettes, 16-bit grey and CMYK are seen as a person sees them.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from config import Limits
from recognition.errors import PictureTooLarge, UndecodablePicture, UnsupportedPicture

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
# First bytes of those formats: a file that has one of them and does not open is damaged, any other is foreign.
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF")
# Larger pictures are averaged down to about this many pixels a side: a digit that is a tenth of a photograph's height
# still has more than twice the pixels of a frame.
WORKING_SIDE = 1536

# Pillow only warns of pictures above its own limit; nothing that large gets past ours.
warnings.simplefilter("error", Image.DecompressionBombWarning)


def decode_picture(data: bytes, limits: Limits) -> NDArray[np.float32]:
    """The picture `[H, W]` in a file's bytes, 0 = white, 1 = black. Raises `PictureError`."""
    if not data:
        raise UndecodablePicture("The file is empty. Choose a picture.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _refuse_too_large(image, limits)
            return _darkness(image)
    except PictureTooLarge:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(limits) from error
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        if data.startswith(_MAGIC):
            raise UndecodablePicture("The picture is damaged and cannot be opened.") from error
        raise UnsupportedPicture("The file is not a picture in PNG, JPEG, GIF, BMP or WebP format.") from error


def _refuse_too_large(image: Image.Image, limits: Limits) -> None:
    if image.width * image.height > limits.max_megapixels * 1e6:
        raise _too_large(limits)


def _too_large(limits: Limits) -> PictureTooLarge:
    return PictureTooLarge(f"The picture has more than {limits.max_megapixels:g} megapixels. Make it smaller.")


def _darkness(image: Image.Image) -> NDArray[np.float32]:
    # A JPEG decodes at 1/2, 1/4 or 1/8 for almost nothing; other formats ignore this.
    image.draft("RGB", (WORKING_SIDE // 2, WORKING_SIDE // 2))
    image.load()
    upright = ImageOps.exif_transpose(image)
    small = _reduce(_plain(upright))
    return 1 - _brightness(small)


def _plain(image: Image.Image) -> Image.Image:
    """The same picture in one of the modes L, RGB, RGBA or I;16, whose pixels are samples and can be averaged."""
    if image.mode.startswith("I"):
        return image
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in {"L", "RGB"} else image.convert("L" if image.mode == "1" else "RGB")


def _reduce(image: Image.Image) -> Image.Image:
    factor = -(-max(image.size) // WORKING_SIDE)
    # Pillow cannot average 16-bit grey; every n-th pixel stands in for it.
    if factor == 1:
        return image
    if image.mode.startswith("I"):
        return image.resize((-(-image.width // factor), -(-image.height // factor)), Image.Resampling.NEAREST)
    return image.reduce(factor)


def _brightness(image: Image.Image) -> NDArray[np.float32]:
    """Luminance `[H, W]`, 0 to 1."""
    if image.mode.startswith("I"):
        deep: NDArray[np.float32] = np.clip(np.asarray(image, dtype=np.float32) / np.float32(65535), 0, 1)
        return deep
    grey = _samples(image.convert("L"))
    return _on_paper(grey, _samples(image.getchannel("A"))) if image.mode == "RGBA" else grey


def _samples(channel: Image.Image) -> NDArray[np.float32]:
    return np.asarray(channel, dtype=np.float32) / np.float32(255)


def _on_paper(grey: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lay a transparent picture on paper: white, or black for light ink that white paper would swallow."""
    weight = float(alpha.sum())
    mean = float((grey * alpha).sum()) / weight if weight else 0.0
    deviation = (float((alpha * (grey - mean) ** 2).sum()) / weight) ** 0.5 if weight else 0.0
    paper = 0.0 if mean > 0.5 and deviation < 0.15 else 1.0
    return grey * alpha + paper * (1 - alpha)
