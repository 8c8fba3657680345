"""Decoding of untrusted picture files to grayscale.

Formats are PNG, JPEG, GIF (first frame), BMP and WebP, and HEIC where pillow-heif is installed. The pixel limit is
checked before decoding, and JPEG is decoded at reduced scale. Rotation tags, transparency, palettes, 16-bit grey and
CMYK are handled as image viewers do.
"""

from __future__ import annotations

import math
import re
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from config import Limits
from recognition.decoding_cost import LimitedFile, refuse_costly, refuse_repeated_metadata
from recognition.errors import N_, PictureError, PictureTooLarge, UndecodablePicture, UnsupportedPicture

# The accepted formats by Pillow's names, and by the suffixes of their files.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")
MEDIA_TYPES = tuple(f"image/{name.lower()}" for name in FORMATS)
# First bytes of those formats: a file that starts with them but does not open is damaged, any other is unsupported.
_MAGIC = re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8|BM|RIFF....WEBP", re.DOTALL)
# HEIC files, as iPhones take them: ISO/IEC 23008-12 names the brands.
_HEIC = re.compile(rb"....ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)", re.DOTALL)
try:
    from pillow_heif import register_heif_opener
except ImportError:
    _OPENED: tuple[str, ...] = FORMATS
else:
    register_heif_opener()
    _OPENED = (*FORMATS, "HEIF")
# Larger pictures are averaged down to about this many pixels a side: a digit that is a tenth of a photograph's height
# still has more than twice the pixels of a frame.
MAX_DECODED_SIDE = 1536
# No camera has longer sides, and of the formats only PNG and BMP allow them. For 50 million rows of one pixel Pillow
# needs seconds.
_MAX_SIDE = 2**16 - 1

_STRIP_PIXELS = 2**18  # small enough for the processor's cache

# A transparent picture with more than this share of pixels that are this dark has ink that is visible on white paper.
_DARK, _DARK_SHARE = 0.7, 1e-4

# Larger EXIF data is ignored, because Pillow turns all of it into Python objects. JPEG allows a quarter of this.
_MAX_EXIF = 2**18

# Pillow only warns about pictures above its own limit, which ours does not allow. Its warnings about invalid tags are
# ignored.
warnings.filterwarnings("ignore", module=r"PIL\.")
warnings.simplefilter("error", Image.DecompressionBombWarning)

_HEIC_HINT = N_(
    "HEIC pictures are not supported. Save the picture as JPEG, or choose Most Compatible under Camera, Formats on the"
    " iPhone."
)


def decode_picture(data: bytes, limits: Limits) -> NDArray[np.float32]:
    """The picture `[H, W]` in a file's bytes, 0 = white, 1 = black. Raises `PictureError`."""
    return decode_with_scale(data, limits)[0]


def decode_with_scale(data: bytes, limits: Limits, seconds_left: float = math.inf) -> tuple[NDArray[np.float32], float]:
    """The picture of `decode_picture`, and how many pixels of the file one of its pixels is wide.

    Also refuses a picture that would take more than `seconds_left` of processor time.
    """
    if not data:
        raise UndecodablePicture(N_("The file is empty. Choose a picture."))
    refuse_repeated_metadata(data)
    try:
        with Image.open(LimitedFile(data), formats=_OPENED) as image:
            _refuse_too_large(image, limits)
            width, height = image.size
            # A JPEG decodes at 1/2, 1/4 or 1/8, and without its colours, for almost nothing; other formats ignore this.
            image.draft("L", (MAX_DECODED_SIDE // 2, MAX_DECODED_SIDE // 2))
            refuse_costly(image, data, width * height, seconds_left)
            picture = _darkness(image)
            return picture, max(width, height) / max(picture.shape)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(limits) from error
    except Exception as error:  # Pillow's decoders raise any exception for damaged files
        if _HEIC.match(data) and "HEIF" not in _OPENED:
            raise UnsupportedPicture(_HEIC_HINT) from error
        if _MAGIC.match(data) or _HEIC.match(data):
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
    # Reduced before it is rotated: rotating the whole picture would hold it in memory twice.
    small = _reduce(image)
    for name in ("exif", "Raw profile type exif"):
        if len(small.info.get(name) or "") > _MAX_EXIF:
            del small.info[name]
    ImageOps.exif_transpose(small, in_place=True)
    return 1 - _brightness(small)


def _reduce(image: Image.Image) -> Image.Image:
    """The picture in one of the modes of `_to_simple_mode`, averaged down to at most `MAX_DECODED_SIDE` pixels a side.

    It is processed in strips: copying a large picture as a whole costs more than decoding it.
    """
    factor = -(-max(image.size) // MAX_DECODED_SIDE)
    if factor == 1:
        return _to_simple_mode(image)
    width, height = image.size
    n_rows = factor * -(-_STRIP_PIXELS // (factor * width))
    strips = [
        _to_simple_mode(image.crop((0, top, width, min(top + n_rows, height)))).reduce(factor)
        for top in range(0, height, n_rows)
    ]
    small = Image.new(strips[0].mode, (strips[0].width, -(-height // factor)))
    small.info = image.info
    for number, strip in enumerate(strips):
        small.paste(strip, (0, number * n_rows // factor))
    return small


def _to_simple_mode(image: Image.Image) -> Image.Image:
    """The same picture in one of the modes L, RGB or RGBA, whose pixels can be averaged."""
    if image.mode.startswith("I"):
        return _to_8_bits(image)
    mode = "RGBA" if image.has_transparency_data else "L" if image.mode in {"1", "L"} else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _to_8_bits(image: Image.Image) -> Image.Image:
    """16-bit grey as 8-bit grey; Pillow's own conversion clips values above 255 of 65,535."""
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
    """Composite a transparent picture on white, or on black if its ink is too light for white."""
    on_white = 1 - alpha * (1 - grey)
    is_light = float((alpha * grey).sum()) > 0.5 * float(alpha.sum())
    # For dark ink on a light card with rounded corners: on black the card would become the ink.
    has_dark_ink = float((on_white < _DARK).mean()) > _DARK_SHARE
    return alpha * grey if is_light and not has_dark_ink else on_white
