"""Refusal of picture files that are too expensive to decode, by an estimate from their headers.

A few kilobytes can keep a decoder busy for seconds: uniform pixels, JPEG scans without effect, millions of empty
chunks, colour profiles that expand a thousandfold. The weights are nanoseconds on one core of an AMD EPYC with
Pillow 13, rounded up from the most expensive file found for each format.
"""

from __future__ import annotations

import io
import re

from PIL import ImageFile

from recognition.errors import N_, PictureTooLarge, UndecodablePicture, UnsupportedPicture

# Processor time that decoding one picture may take, in seconds.
MAX_SECONDS = 1.0
# A PNG file of 12 MB in chunks of 8 KB, the usual size, is read in 5,000 pieces.
_MAX_READS = 20_000
# Metadata that Pillow parses at each occurrence. Ordinary files have one of each per picture.
_REPEATED = (b"iCCP", b"Exif\0\0")
_MAX_REPEATS = 10

# A JPEG marker, except restarts (D0 to D7), which occur within the compressed data and have no content.
_JPEG_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_MAX_SEGMENTS = 5_000
_JPEG_END, _JPEG_SCAN = 0xD9, 0xDA
_JPEG_WITHOUT_LENGTH = {0x01, 0xD8}
# Lossless, hierarchical or arithmetic coding: no camera writes these frames, and no browser shows them.
_JPEG_RARE_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}


class LimitedFile(io.BytesIO):
    """A picture file in memory that limits the number of reads. Raises `UndecodablePicture`.

    Pillow reads chunks, segments and comments one at a time, in Python: 12 MB of empty ones would take ten seconds.
    """

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > _MAX_READS:
            raise _too_many_parts()
        return super().read(size)


def refuse_repeated_metadata(data: bytes) -> None:
    """Raise `UndecodablePicture` for a file that repeats metadata that is expensive to parse."""
    if max(data.count(name) for name in _REPEATED) > _MAX_REPEATS:
        raise _too_many_parts()


def _too_many_parts() -> UndecodablePicture:
    return UndecodablePicture(N_("The picture file has too many parts. Save the picture again."))


def refuse_costly(image: ImageFile.ImageFile, data: bytes, n_pixels: int, seconds_left: float) -> None:
    """Raise `PictureError` for a picture that takes more than `MAX_SECONDS` or `seconds_left` to decode.

    `image` is not loaded yet, and may be drafted; `n_pixels` is the number of pixels in the file.
    """
    if image.format == "BMP" and image.tile and image.tile[0].codec_name == "bmp_rle":  # decoded in Python
        raise UnsupportedPicture(N_("BMP files with run-length encoding are not supported. Save the picture as PNG."))
    seconds = estimate_seconds(image, data, n_pixels)
    if seconds > MAX_SECONDS:
        raise PictureTooLarge(N_("The picture takes too long to decode. Make it smaller, or save it as JPEG."))
    if seconds > seconds_left:
        raise PictureTooLarge(N_("The pictures before this one used up the time of the request. Send it on its own."))


def estimate_seconds(image: ImageFile.ImageFile, data: bytes, n_pixels: int) -> float:
    """Upper bound of the processor time to decode and reduce `image`, in seconds."""
    match image.format:
        case "PNG":
            nanoseconds = n_pixels * (10 + 4 * _png_bytes_per_pixel(image))
        case "WEBP":
            nanoseconds = 40 * n_pixels + 50 * len(data)
        case "HEIF":  # with pillow-heif 1.8
            nanoseconds = 60 * n_pixels + 70 * len(data)
        case "JPEG" | "MPO":
            n_scans = count_scans(data)
            # With several scans, the file is decoded to coefficients first, and each scan visits all of them.
            nanoseconds = n_scans * n_pixels + (15 if n_scans == 1 else 35) * len(data)
            nanoseconds += 8 * image.width * image.height
        case _:
            nanoseconds = 10 * n_pixels + 15 * len(data)
    return nanoseconds / 1e9


def _png_bytes_per_pixel(image: ImageFile.ImageFile) -> int:
    """Bytes of each pixel in the file, from Pillow's raw mode, such as `RGB;16B` or `L;4`."""
    if not image.tile:
        return 0
    mode, _, packing = str(image.tile[0].args).partition(";")
    channels = 1 if mode == "I" else len(mode)
    return channels * (2 if packing.startswith("16") else 1)


def count_scans(jpeg: bytes) -> int:
    """Number of scans in a JPEG file, each a pass over all pixels. Raises `UnsupportedPicture` for rare kinds."""
    segments, scans, position = 0, 0, 0
    while found := _JPEG_MARKER.search(jpeg, position):
        marker, position = found[1][0], found.end()
        segments += 1
        if segments > _MAX_SEGMENTS:
            raise _too_many_parts()
        if marker == _JPEG_END:
            break
        if marker in _JPEG_RARE_FRAMES:
            raise UnsupportedPicture(N_("This kind of JPEG is not supported. Save it as a standard JPEG."))
        scans += marker == _JPEG_SCAN
        if marker not in _JPEG_WITHOUT_LENGTH:
            position += max(2, int.from_bytes(jpeg[position : position + 2]))
    return scans
