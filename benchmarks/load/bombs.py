"""Decompression bombs. Building one may take a second, so each is built once."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import cache

from PIL import Image

from testing.pictures import encode

# Just within the limit of 50 megapixels, and far beyond.
WITHIN, BEYOND = (7000, 7000), (30_000, 30_000)


def _png(size: tuple[int, int], depth: int, colour: int, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def _zeros(count: int) -> bytes:
    """`count` zeros, deflated a piece at a time."""
    deflate = zlib.compressobj(9)
    piece = bytes(2**20)
    packed = b"".join(deflate.compress(piece) for _ in range(count // len(piece)))
    return packed + deflate.compress(bytes(count % len(piece))) + deflate.flush()


@cache
def grey_png() -> bytes:
    """49 megapixels of grey in 48 KB."""
    return _png(WITHIN, 8, 0, _zeros((1 + WITHIN[0]) * WITHIN[1]))


@cache
def rgba_png() -> bytes:
    """49 megapixels with alpha: 196 MB."""
    return _png(WITHIN, 8, 6, _zeros((1 + 4 * WITHIN[0]) * WITHIN[1]))


@cache
def deep_png() -> bytes:
    """49 megapixels of 16-bit grey."""
    return _png(WITHIN, 16, 0, _zeros((1 + 2 * WITHIN[0]) * WITHIN[1]))


@cache
def tall_png() -> bytes:
    """One pixel wide, 49 million high."""
    return _png((1, 49_000_000), 8, 0, _zeros(98_000_000))


@cache
def vast_png() -> bytes:
    """900 megapixels, complete."""
    return _png(BEYOND, 1, 0, _zeros((1 + BEYOND[0] // 8) * BEYOND[1]))


@cache
def long_png() -> bytes:
    """A picture of 24 by 24 pixels followed by 200 MB of excess pixels."""
    return _png((24, 24), 8, 0, _zeros(200 * 2**20))


@cache
def text_png() -> bytes:
    """Compressed text of 64 MB, five times."""
    text = b"Comment\0\0" + _zeros(64 * 2**20)
    return _png((24, 24), 8, 0, zlib.compress(bytes(25 * 24)), *[(b"zTXt", text)] * 5)


@cache
def profile_png() -> bytes:
    """A colour profile of 64 MB."""
    return _png((24, 24), 8, 2, zlib.compress(bytes(73 * 24)), (b"iCCP", b"p\0\0" + _zeros(64 * 2**20)))


@cache
def splintered_png() -> bytes:
    """200,000 chunks of one byte."""
    rows = zlib.compress(bytes(25 * 24))
    return _png((24, 24), 8, 0, rows, *[(b"teXt", b"x")] * 200_000)


@cache
def profiles_png() -> bytes:
    """5,000 colour profiles that unfold to a megabyte each."""
    rows = zlib.compress(bytes(25 * 24))
    return _png((24, 24), 8, 0, rows, *[(b"iCCP", b"p\0\0" + _zeros(2**20 - 10))] * 5_000)


@cache
def values_png() -> bytes:
    """EXIF data with a tag of five million values."""
    exif = b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHII", 1, 3, 5_000_000, 8) + bytes(10_000_000)
    return _png((24, 24), 8, 0, zlib.compress(bytes(25 * 24)), (b"eXIf", exif))


@cache
def blocks_gif() -> bytes:
    """Four million empty blocks before the picture."""
    one = encode(Image.new("RGB", (24, 24)).quantize(4), "GIF")
    start = one.index(b",", 13)
    return one[:start] + b"!\1\0" * 3_900_000 + one[start:]


@cache
def frames_gif() -> bytes:
    """20,000 frames."""
    one = encode(Image.new("P", (24, 24)), "GIF")
    start = one.index(b",", 13 + 768 if one[10] & 7 == 7 else 13)
    return one[:start] + one[start:-1] * 20_000 + b";"


@cache
def large_gif() -> bytes:
    """49 megapixels of one colour."""
    return encode(Image.new("P", WITHIN), "GIF")


@cache
def large_webp() -> bytes:
    """49 megapixels of one colour, lossless."""
    return encode(Image.new("RGB", WITHIN), "WEBP", lossless=True, method=0, quality=0)


@cache
def frames_webp() -> bytes:
    """A canvas of a megapixel with 100 frames."""
    frames = [Image.new("RGB", (1000, 1000), (level, 0, 0)) for level in range(0, 200, 2)]
    return encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True, method=0, quality=0)


@cache
def large_jpeg() -> bytes:
    """49 megapixels of one colour."""
    return encode(Image.new("RGB", WITHIN), "JPEG")


@cache
def scans_jpeg() -> bytes:
    """A progressive file of 36 megapixels with 10,000 scans that change nothing."""
    data = encode(Image.new("L", (6000, 6000)), "JPEG", progressive=True)
    scan = bytes.fromhex("ffda0008010100010100")[:10]
    return data[:-2] + (scan + b"\0\0") * 10_000 + data[-2:]


@cache
def segments_jpeg() -> bytes:
    """100,000 empty comments."""
    data = encode(Image.new("L", (24, 24)), "JPEG")
    return data[:2] + b"\xff\xfe\0\2" * 100_000 + data[2:]


@cache
def tags_jpeg() -> bytes:
    """EXIF directories that refer to each other, and a tag with four billion values."""
    folder = (
        struct.pack("<H", 2) + struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<HHII", 0x0112, 3, 2**32 - 1, 8)
    )
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + folder + struct.pack("<I", 8)
    return encode(Image.new("L", (24, 24)), "JPEG", exif=exif)


@cache
def runs_bmp() -> bytes:
    """49 megapixels of runs of one colour, run-length encoded."""
    width, height = WITHIN
    row = b"\xff\0" * (width // 255) + bytes((width % 255, 0)) + b"\0\0"
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(row) * height, 0, 0, 2, 0) + bytes(8)
    return (
        b"BM"
        + struct.pack("<IHHI", 14 + len(header) + len(row) * height, 0, 0, 14 + len(header))
        + header
        + row * height
    )


@cache
def short_runs_bmp() -> bytes:
    """50 megapixels of rows that end after one pixel, in 3 KB."""
    header = struct.pack("<IiiHHIIiiII", 40, 65535, 762, 1, 8, 1, 0, 0, 0, 2, 0) + bytes(8)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(header)) + header + b"\1\xff\0\0" * 762


@cache
def jumping_bmp() -> bytes:
    """Run-length codes that jump beyond the picture again and again."""
    header = struct.pack("<IiiHHIIiiII", 40, 24, 24, 1, 8, 1, 0, 0, 0, 2, 0) + bytes(8)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(header)) + header + b"\0\2\xff\xff" * 100_000


BOMBS: tuple[Callable[[], bytes], ...] = (
    grey_png, rgba_png, deep_png, tall_png, vast_png, long_png, text_png, profile_png, profiles_png, values_png,
    splintered_png, frames_gif, blocks_gif, large_gif, large_webp, frames_webp, large_jpeg, scans_jpeg, segments_jpeg,
    tags_jpeg, runs_bmp, short_runs_bmp, jumping_bmp,
)  # fmt: skip
