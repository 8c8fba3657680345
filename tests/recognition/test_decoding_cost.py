"""Decoding takes no longer than estimated from the header, and pictures that would take too long are refused."""

import struct
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from config import Limits
from recognition.decoding_cost import MAX_SECONDS
from recognition.errors import PictureError, PictureTooLarge, UndecodablePicture, UnsupportedPicture
from recognition.picture import decode_picture
from testing.pictures import encode

LIMITS = Limits(_env_file=None)
BODY = LIMITS.max_body_bytes - 2000
SMALL = Image.new("L", (24, 24))


def png(size: tuple[int, int], depth: int, colour: int, pixels: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of these deflated pixels, with more chunks before them."""
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(kind, content) for kind, content in [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    )


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def even_png(size: tuple[int, int], depth: int, colour: int, bytes_per_pixel: int) -> bytes:
    """Rows of Paeth's filter, the most expensive one, that deflate to nearly nothing."""
    deflate = zlib.compressobj(1)
    row = b"\4" + b"\1" * (size[0] * bytes_per_pixel)
    return png(size, depth, colour, b"".join(deflate.compress(row) for _ in range(size[1])) + deflate.flush())


def with_chunks(one: bytes, where: int = 33) -> bytes:
    """A small PNG file with as many of a chunk as fit into a request, by default before its pixels."""
    small = png(SMALL.size, 8, 0, zlib.compress(bytes(25 * 24)))
    return small[:where] + one * (BODY // len(one)) + small[where:]


def run_length_bmp(compression: int, bits: int, row: bytes) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, 65535, 762, 1, bits, compression, 0, 0, 0, 2, 0) + bytes(8)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(header)) + header + row * 762


def segment(marker: int, content: bytes) -> bytes:
    """One segment of a JPEG file."""
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def with_segments(one: bytes) -> bytes:
    """A small JPEG file with as many of a segment as fit into a request."""
    jpeg = encode(SMALL, "JPEG")
    return jpeg[:2] + one * (BODY // len(one)) + jpeg[2:]


def with_scans(image: Image.Image, scan: bytes, count: int) -> bytes:
    """A progressive JPEG file with more scans that change nothing."""
    return encode(image, "JPEG", progressive=True)[:-2] + scan * count + b"\xff\xd9"


def with_blocks(one: bytes) -> bytes:
    """A GIF file with as many blocks before its picture as fit into a request."""
    gif = encode(SMALL.convert("RGB").quantize(4), "GIF")
    start = gif.index(b",", 13)
    return gif[:start] + one * (BODY // len(one)) + gif[start:]


def exif(*tags: tuple[int, int, int, int]) -> bytes:
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", len(tags)) + b"".join(struct.pack(">HHII", *tag) for tag in tags)


GREY_SCAN = segment(0xDA, b"\1\1\0\1\1\0") + b"\0\0"
COLOUR_SCAN = segment(0xDA, b"\3\1\0\2\0\3\0\0\0\x10") + b"\0\0"
MEGABYTE = zlib.compress(bytes(2**20 - 10))

REFUSED: dict[str, tuple[Callable[[], bytes], type[PictureError], str]] = {
    "BMP of runs": (lambda: run_length_bmp(1, 8, b"\1\xff\0\0"), UnsupportedPicture, "run-length"),
    "BMP of short runs": (lambda: run_length_bmp(2, 4, b"\xff\xff" * 257 + b"\0\0"), UnsupportedPicture, "run-length"),
    "PNG with alpha": (lambda: even_png((7000, 7000), 8, 6, 4), PictureTooLarge, "save it as JPEG"),
    "PNG of 16 bits": (lambda: even_png((5000, 5000), 16, 6, 8), PictureTooLarge, "save it as JPEG"),
    "PNG of two headers": (
        lambda: png((6, 6), 8, 0, b"", (b"IHDR", struct.pack(">IIBBBBB", 5000, 5000, 16, 6, 0, 0, 0))),
        PictureTooLarge,
        "save it as JPEG",
    ),
    "WebP": (
        lambda: encode(Image.new("RGB", (7000, 7000)), "WEBP", lossless=True, method=0, quality=0),
        PictureTooLarge,
        "save it as JPEG",
    ),
    "grey JPEG of 90 scans": (
        lambda: with_scans(Image.new("L", (6000, 6000)), GREY_SCAN, 80),
        PictureTooLarge,
        "save it as JPEG",
    ),
    "JPEG of 30 scans": (
        lambda: with_scans(Image.new("RGB", (6000, 6000)), COLOUR_SCAN, 20),
        PictureTooLarge,
        "save it as JPEG",
    ),
    "JPEG of many scans": (lambda: with_scans(SMALL, GREY_SCAN, 10_000), UndecodablePicture, "too many parts"),
    "JPEG with arithmetic codes": (
        lambda: encode(SMALL, "JPEG").replace(b"\xff\xc0", b"\xff\xc9"),
        UnsupportedPicture,
        "standard JPEG",
    ),
    "JPEG of comments": (lambda: with_segments(segment(0xFE, b"")), UndecodablePicture, "too many parts"),
    "JPEG of padding": (lambda: with_segments(b"\xff"), UndecodablePicture, "too many parts"),
    "JPEG of tags": (
        lambda: with_segments(segment(0xE1, b"Exif\0\0" + exif((1, 3, 5 * 10**6, 8)) + bytes(65_000))),
        UndecodablePicture,
        "too many parts",
    ),
    "PNG of text": (lambda: with_chunks(chunk(b"tEXt", b"a\0b")), UndecodablePicture, "too many parts"),
    "PNG of empty pixels": (lambda: with_chunks(chunk(b"IDAT", b"")), UndecodablePicture, "too many parts"),
    "PNG of chunks behind": (lambda: with_chunks(chunk(b"abCd", b""), -12), UndecodablePicture, "too many parts"),
    "PNG of profiles": (lambda: with_chunks(chunk(b"iCCP", b"p\0\0" + MEGABYTE)), UndecodablePicture, "too many parts"),
    "GIF of comments": (lambda: with_blocks(b"!\xfe\1a\0"), UndecodablePicture, "too many parts"),
    "GIF of nothing": (lambda: with_blocks(b"\0"), UndecodablePicture, "too many parts"),
}


@pytest.mark.parametrize(("make", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_costly_picture_is_refused_at_once(make: Callable[[], bytes], error: type[PictureError], message: str) -> None:
    data = make()
    started = time.process_time()
    with pytest.raises(error, match=message):
        decode_picture(data, LIMITS)
    assert time.process_time() - started < MAX_SECONDS


def textured(size: tuple[int, int]) -> Image.Image:
    """Like a photograph: coarse structure, fine grain."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (size[1] // 100, size[0] // 100, 3), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    grain = rng.integers(-4, 5, (*size[::-1], 1), dtype=np.int8)
    return Image.fromarray(np.clip(picture.astype(np.int16) + grain, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return textured((4000, 3000))


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("JPEG", {"quality": 92}),
        ("JPEG", {"quality": 92, "progressive": True}),
        ("PNG", {"compress_level": 1}),
        ("WEBP", {"quality": 80, "method": 0}),
    ],
    ids=["JPEG", "progressive JPEG", "PNG", "WebP"],
)
def test_photograph_of_12_megapixels_is_read(
    photograph: Image.Image, file_format: str, options: dict[str, object]
) -> None:
    assert decode_picture(encode(photograph, file_format, **options), LIMITS).shape == (
        (750, 1000) if file_format == "JPEG" else (1000, 1334)
    )


def test_photograph_of_48_megapixels_is_read(photograph: Image.Image) -> None:
    large = Image.new("RGB", (8000, 6000))
    for left in (0, 4000):
        for top in (0, 3000):
            large.paste(photograph, (left, top))
    assert decode_picture(encode(large, "JPEG", quality=75), LIMITS).shape == (750, 1000)


def test_picture_in_many_chunks_is_read() -> None:
    pixels = zlib.compress(bytes(2000 * 2001), 0)
    whole = png((2000, 2000), 8, 0, b"")
    chunks = b"".join(chunk(b"IDAT", pixels[start : start + 1024]) for start in range(0, len(pixels), 1024))
    assert decode_picture(whole[:33] + chunks + whole[33:], LIMITS).shape == (1000, 1000)


def test_large_tags_are_ignored() -> None:
    tags = exif((1, 3, 5 * 10**6, 8), (0x0112, 3, 1, 6 << 16)) + bytes(11 * 10**6)
    started = time.process_time()
    picture = decode_picture(png((24, 12), 8, 0, zlib.compress(bytes(25 * 12)), (b"eXIf", tags)), LIMITS)
    assert picture.shape == (12, 24)
    assert time.process_time() - started < MAX_SECONDS


def test_jpeg_scans_are_not_counted_in_tags_or_behind_the_end() -> None:
    jpeg, scans = encode(Image.new("L", (2000, 2000)), "JPEG"), b"\xff\xda\0\2" * 1000
    disguised = jpeg[:2] + segment(0xE5, scans) + jpeg[2:] + scans
    np.testing.assert_array_equal(decode_picture(disguised, LIMITS), decode_picture(jpeg, LIMITS))
