"""Picture files that are small, but expensive to decode."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import cache

from PIL import Image

from testing.pictures import encode

# Just within the limit of 50 megapixels, and far beyond.
WITHIN, BEYOND = (7000, 7000), (30_000, 30_000)
SMALL = (24, 24)
SMALL_ROWS = zlib.compress(bytes(25 * 24))  # pixels of a small grey PNG


@cache
def make_bomb(name: str) -> bytes:
    """One of the files in `BOMBS`. Making one may take a second, so each is made once."""
    return BOMBS[name]()


def png_file(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG file of chunks, each a type and its content."""
    written = (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def _png(size: tuple[int, int], rows: bytes, *extra: tuple[bytes, bytes], depth: int = 8, colour: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    return png_file([(b"IHDR", header), *extra, (b"IDAT", rows), (b"IEND", b"")])


def _zeros(count: int) -> bytes:
    """`count` zeros, deflated in pieces."""
    deflate = zlib.compressobj(9)
    piece = bytes(2**20)
    packed = b"".join(deflate.compress(piece) for _ in range(count // len(piece)))
    return packed + deflate.compress(bytes(count % len(piece))) + deflate.flush()


def _exif_with_long_tag() -> bytes:
    return b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHII", 1, 3, 5_000_000, 8) + bytes(10_000_000)


def _gif_with_blocks() -> bytes:
    gif = encode(Image.new("RGB", SMALL).quantize(4), "GIF")
    start = gif.index(b",", 13)
    return gif[:start] + b"!\1\0" * 3_900_000 + gif[start:]


def _gif_with_frames() -> bytes:
    gif = encode(Image.new("P", SMALL), "GIF")
    start = gif.index(b",", 13 + 768 if gif[10] & 7 == 7 else 13)
    return gif[:start] + gif[start:-1] * 20_000 + b";"


def _webp_with_frames() -> bytes:
    frames = [Image.new("RGB", (1000, 1000), (level, 0, 0)) for level in range(0, 200, 2)]
    return encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True, method=0, quality=0)


def _jpeg_with_scans() -> bytes:
    jpeg = encode(Image.new("L", (6000, 6000)), "JPEG", progressive=True)
    scan = bytes.fromhex("ffda00080101000101000000")
    return jpeg[:-2] + scan * 10_000 + jpeg[-2:]


def _jpeg_with_comments() -> bytes:
    jpeg = encode(Image.new("L", SMALL), "JPEG")
    return jpeg[:2] + b"\xff\xfe\0\2" * 100_000 + jpeg[2:]


def _jpeg_with_tags() -> bytes:
    """EXIF directories that refer to each other, and a tag with four billion values."""
    tags = struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<HHII", 0x0112, 3, 2**32 - 1, 8)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + tags + struct.pack("<I", 8)
    return encode(Image.new("L", SMALL), "JPEG", exif=exif)


def _rle_bmp(size: tuple[int, int], data: bytes) -> bytes:
    """A BMP file with run-length encoded pixels."""
    header = struct.pack("<IiiHHIIiiII", 40, *size, 1, 8, 1, len(data), 0, 0, 2, 0) + bytes(8)
    start = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + data


def _rle_row(width: int) -> bytes:
    return b"\xff\0" * (width // 255) + bytes((width % 255, 0)) + b"\0\0"


BOMBS: dict[str, Callable[[], bytes]] = {
    "PNG, 49 megapixels of grey": lambda: _png(WITHIN, _zeros((1 + WITHIN[0]) * WITHIN[1])),
    "PNG, 49 megapixels with alpha": lambda: _png(WITHIN, _zeros((1 + 4 * WITHIN[0]) * WITHIN[1]), colour=6),
    "PNG, 49 megapixels of 16 bits": lambda: _png(WITHIN, _zeros((1 + 2 * WITHIN[0]) * WITHIN[1]), depth=16),
    "PNG, one pixel wide": lambda: _png((1, 49_000_000), _zeros(98_000_000)),
    "PNG, 900 megapixels": lambda: _png(BEYOND, _zeros((1 + BEYOND[0] // 8) * BEYOND[1]), depth=1),
    "PNG, 200 MB of excess pixels": lambda: _png(SMALL, _zeros(200 * 2**20)),
    "PNG, 320 MB of text": lambda: _png(SMALL, SMALL_ROWS, *[(b"zTXt", b"Comment\0\0" + _zeros(64 * 2**20))] * 5),
    "PNG, colour profile of 64 MB": lambda: _png(SMALL, SMALL_ROWS, (b"iCCP", b"p\0\0" + _zeros(64 * 2**20))),
    "PNG, 5,000 colour profiles": lambda: _png(SMALL, SMALL_ROWS, *[(b"iCCP", b"p\0\0" + _zeros(2**20 - 10))] * 5_000),
    "PNG, tag of five million values": lambda: _png(SMALL, SMALL_ROWS, (b"eXIf", _exif_with_long_tag())),
    "PNG, 200,000 chunks": lambda: _png(SMALL, SMALL_ROWS, *[(b"teXt", b"x")] * 200_000),
    "GIF, 20,000 frames": _gif_with_frames,
    "GIF, four million empty blocks": _gif_with_blocks,
    "GIF, 49 megapixels": lambda: encode(Image.new("P", WITHIN), "GIF"),
    "WebP, 49 megapixels": lambda: encode(Image.new("RGB", WITHIN), "WEBP", lossless=True, method=0, quality=0),
    "WebP, 100 frames": _webp_with_frames,
    "JPEG, 49 megapixels": lambda: encode(Image.new("RGB", WITHIN), "JPEG"),
    "JPEG, 10,000 scans": _jpeg_with_scans,
    "JPEG, 100,000 comments": _jpeg_with_comments,
    "JPEG, circular EXIF directories": _jpeg_with_tags,
    "BMP, 49 megapixels of runs": lambda: _rle_bmp(WITHIN, _rle_row(WITHIN[0]) * WITHIN[1]),
    "BMP, rows of one pixel": lambda: _rle_bmp((65535, 762), b"\1\xff\0\0" * 762),
    "BMP, jumps beyond the picture": lambda: _rle_bmp(SMALL, b"\0\2\xff\xff" * 100_000),
}
