"""Untrusted bytes to a grey picture. The decode policy lives here and nowhere else.

Formats are PNG, JPEG, GIF (first frame), BMP and WebP; the pixel limit holds before anything is decoded; JPEG is
decoded at reduced scale. Rotation tags, transparency, palettes, 16-bit grey and CMYK are seen as a person sees them.
"""

from __future__ import annotations

import math
import re
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from config import Limits
from recognition.cost import LimitedFile, refuse_costly, refuse_repeated_metadata
from recognition.errors import N_, PictureError, PictureTooLarge, UndecodablePicture, UnsupportedPicture

# The accepted formats by Pillow's names, and by the suffixes of their files.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")
MEDIA_TYPES = tuple(f"image/{name.lower()}" for name in FORMATS)
# First bytes of those formats: a file that has one of them and does not open is damaged, any other is foreign.
_MAGIC = re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8|BM|RIFF....WEBP", re.DOTALL)
# Larger pictures are averaged down to about this many pixels a side: a digit that is a tenth of a photograph's height
# still has more than twice the pixels of a frame.
WORKING_SIDE = 1536
# No camera has longer sides, and only PNG and BMP can say so. One pixel by 50 million keeps Pillow busy for seconds
# with the ends of its rows.
_MAX_SIDE = 2**16 - 1

_STRIP_PIXELS = 2**18  # stay in a processor's cache

# A transparent picture with more than this share of its pixels so dark has ink that shows on white paper.
_DARK, _DARK_SHARE = 0.7, 1e-4

# Larger EXIF data is ignored: JPEG has room for a quarter of it, and Pillow makes Python objects of all of it.
_MAX_EXIF = 2**18

# Pillow only warns of pictures above its own limit; nothing that large gets past ours. It also warns of tags that it
# cannot read, which are nobody's concern here.
warnings.filterwarnings("ignore", module=r"PIL\.")
warnings.simplefilter("error", Image.DecompressionBombWarning)


def decode_picture(data: bytes, limits: Limits) -> NDArray[np.float32]:
    """The picture `[H, W]` in a file's bytes, 0 = white, 1 = black. Raises `PictureError`."""
    return decode_with_scale(data, limits)[0]


def decode_with_scale(data: bytes, limits: Limits, seconds_left: float = math.inf) -> tuple[NDArray[np.float32], float]:
    """The picture as of `decode_picture`, and the side of each of its pixels in pixels of the file.

    A picture is refused, too, if it would take more than `seconds_left` of processor time.
    """
    if not data:
        raise UndecodablePicture(N_("The file is empty. Choose a picture."))
    refuse_repeated_metadata(data)
    try:
        with Image.open(LimitedFile(data), formats=FORMATS) as image:
            _refuse_too_large(image, limits)
            width, height = image.size
            # A JPEG decodes at 1/2, 1/4 or 1/8 for almost nothing; other formats ignore this.
            image.draft("RGB", (WORKING_SIDE // 2, WORKING_SIDE // 2))
            refuse_costly(image, data, width * height, seconds_left)
            picture = _darkness(image)
            return picture, max(width, height) / max(picture.shape)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(limits) from error
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        if _MAGIC.match(data):
            raise UndecodablePicture(N_("The picture is damaged and cannot be opened.")) from error
        raise UnsupportedPicture(N_("The file is not a picture in PNG, JPEG, GIF, BMP or WebP format.")) from error


def _refuse_too_large(image: Image.Image, limits: Limits) -> None:
    if image.width * image.height > limits.max_megapixels * 1e6:
        raise _too_large(limits)
    if max(image.size) > _MAX_SIDE:
        raise PictureTooLarge(N_("The picture is more than 65,535 pixels wide or high. Make it smaller."))


def _too_large(limits: Limits) -> PictureTooLarge:
    sentence = N_("The picture has more than %(most)s megapixels. Make it smaller.")
    return PictureTooLarge(sentence, most=f"{limits.max_megapixels:g}")


def _darkness(image: Image.Image) -> NDArray[np.float32]:
    image.load()
    # Made smaller before it is turned: turning all of it would hold it in memory twice.
    small = _small(image)
    for name in ("exif", "Raw profile type exif"):
        if len(small.info.get(name, "")) > _MAX_EXIF:
            del small.info[name]
    ImageOps.exif_transpose(small, in_place=True)
    return 1 - _brightness(small)


def _small(image: Image.Image) -> Image.Image:
    """The picture in one of the modes of `_plain`, averaged down to at most `WORKING_SIDE` pixels a side.

    A strip at a time: copies of a whole large picture, of which both steps need some, cost more than its decoding.
    """
    factor = -(-max(image.size) // WORKING_SIDE)
    if factor == 1:
        return _plain(image)
    width, height = image.size
    n_rows = factor * -(-_STRIP_PIXELS // (factor * width))
    strips = [
        _plain(image.crop((0, top, width, min(top + n_rows, height)))).reduce(factor)
        for top in range(0, height, n_rows)
    ]
    small = Image.new(strips[0].mode, (strips[0].width, -(-height // factor)))
    small.info = image.info
    for number, strip in enumerate(strips):
        small.paste(strip, (0, number * n_rows // factor))
    return small


def _plain(image: Image.Image) -> Image.Image:
    """The same picture in one of the modes L, RGB or RGBA, whose pixels are samples and can be averaged."""
    if image.mode.startswith("I"):
        return _shallow(image)
    mode = "RGBA" if image.has_transparency_data else "L" if image.mode in {"1", "L"} else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _shallow(image: Image.Image) -> Image.Image:
    """16-bit grey as 8-bit grey; Pillow's own conversion cuts off all that is brighter than 255 of 65,535."""
    grey = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    grey.info = image.info
    return grey


def _brightness(image: Image.Image) -> NDArray[np.float32]:
    """Luminance `[H, W]`, 0 to 1."""
    grey = _samples(image.convert("L"))
    return _on_paper(grey, _samples(image.getchannel("A"))) if image.mode == "RGBA" else grey


def _samples(channel: Image.Image) -> NDArray[np.float32]:
    return np.asarray(channel, dtype=np.float32) / np.float32(255)


def _on_paper(grey: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lay a transparent picture on paper: white, or black for light ink that white paper would swallow."""
    on_white = 1 - alpha * (1 - grey)
    is_light = float((alpha * grey).sum()) > 0.5 * float(alpha.sum())
    # Dark ink on a light card with rounded corners is seen on white; its card must not become light ink on black.
    has_dark_ink = float((on_white < _DARK).mean()) > _DARK_SHARE
    return alpha * grey if is_light and not has_dark_ink else on_white
