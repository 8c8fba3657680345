"""Hostile picture files, reproducible from a seed.

    pictures = hostile_pictures(seed=0)
    next(pictures).kind, next(pictures).data

Small valid files of every format and mode are damaged at random, or damaged with checksums and lengths corrected so
that decoders continue, or given extreme headers, or cut at every byte. Others are decompression bombs or polyglots.
"""

from __future__ import annotations

import io
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain

from PIL import Image

from benchmarks.load.decompression_bombs import BOMBS, make_bomb, png_file
from testing.handwriting import DIGITS
from testing.pictures import draw_picture, encode

SIDE = 24  # of the damaged files, in pixels: small, so that random damage often hits headers
EXTREMES = (0, 1, 2, 7, 8, 9, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 2**31 - 1, 2**31, 2**32 - 1)
PNG_CHUNK_TYPES = b"IHDR PLTE tRNS IDAT iCCP eXIf zTXt acTL fcTL fdAT gAMA cHRM".split()


@dataclass(frozen=True, slots=True)
class HostilePicture:
    """A file, and how it was made."""

    kind: str
    data: bytes


def hostile_pictures(seed: int, *, bombs: bool = True) -> Iterator[HostilePicture]:
    """Endless files of random kinds; `bombs` are expensive to create and to decode."""
    rng = random.Random(seed)
    makers: dict[str, Callable[[], bytes]] = {
        "damaged": lambda: damage(rng, rng.choice(list(victims().values()))),
        "repaired": lambda: rng.choice(REPAIRERS)(rng),
        "extreme header": lambda: extreme_header(rng),
        "polyglot": lambda: polyglot(rng),
        "bomb": lambda: make_bomb(rng.choice(list(BOMBS))),
    }
    weights = {"damaged": 30, "repaired": 24, "extreme header": 20, "cut": 20, "polyglot": 5, "bomb": int(bombs)}
    cuts = _cuts(rng)
    while True:
        (kind,) = rng.choices(list(weights), list(weights.values()))
        if kind != "cut":
            yield HostilePicture(kind, makers[kind]())
        elif (cut := next(cuts, None)) is not None:
            yield HostilePicture(kind, cut)


@cache
def victims() -> dict[str, bytes]:
    """Small valid files: every format, in the modes that its decoder treats differently."""
    grey = draw_picture(DIGITS[7]).resize((SIDE, SIDE))
    rgb = grey.convert("RGB")
    rgba = rgb.copy()
    rgba.putalpha(grey.point(lambda level: 255 - level))
    frames = [grey.convert("P"), grey.rotate(90).convert("P")]
    several = {"save_all": True, "append_images": frames[1:]}
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    return {
        "grey.png": encode(grey),
        "16-bit.png": encode(
            Image.frombytes("I;16", (SIDE, SIDE), bytes(range(256)) * 4 + bytes(2 * SIDE * SIDE - 1024))
        ),
        "1-bit.png": encode(grey.convert("1")),
        "palette.png": encode(rgb.quantize(16), transparency=0),
        "alpha.png": encode(rgba, icc_profile=b"\0" * 128),
        "animated.png": encode(rgb, save_all=True, append_images=[rgb.rotate(90)]),
        "baseline.jpg": encode(grey, "JPEG"),
        "progressive.jpg": encode(rgb, "JPEG", progressive=True, exif=exif.tobytes()),
        "cmyk.jpg": encode(rgb.convert("CMYK"), "JPEG"),
        "still.gif": encode(frames[0].quantize(4), "GIF"),
        "animated.gif": encode(frames[0], "GIF", transparency=3, **several),
        "1-bit.bmp": encode(grey.convert("1"), "BMP"),
        "palette.bmp": encode(rgb.quantize(4), "BMP"),
        "rgb.bmp": encode(rgb, "BMP"),
        "lossy.webp": encode(rgb, "WEBP"),
        "lossless.webp": encode(rgba, "WEBP", lossless=True, exif=exif.tobytes()),
        "animated.webp": encode(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(90)]),
    }


# ---- random damage ----


def damage(rng: random.Random, data: bytes) -> bytes:
    """`data` with one to eight random changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        data = rng.choice(_DAMAGES)(rng, data)
    return data


def _flip_bit(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data) or 1)
    return data[:place] + bytes(byte ^ 1 << rng.randrange(8) for byte in data[place : place + 1]) + data[place + 1 :]


def _overwrite(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data) or 1)
    new = rng.choice((b"\0", b"\xff", b"\x80", b"\x7f\xff\xff\xff", b"\xff" * 4, rng.randbytes(rng.randint(1, 16))))
    return data[:place] + new + data[place + len(new) :]


def _remove(rng: random.Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def _repeat(rng: random.Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:end] + data[start:end] * rng.choice((1, 2, 100)) + data[end:]


def _splice(rng: random.Random, data: bytes) -> bytes:
    other = rng.choice(list(victims().values()))
    return data[: rng.randrange(len(data) or 1)] + other[rng.randrange(len(other)) :]


def _span(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) or 1)
    return start, min(len(data), start + rng.choice((1, 4, 16, 64)))


_DAMAGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flip_bit,
    _flip_bit,
    _overwrite,
    _remove,
    _repeat,
    _splice,
)


# ---- random damage with valid checksums and lengths ----


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Type and content of each chunk of a PNG file."""
    chunks, place = [], 8
    while place < len(data):
        length = int.from_bytes(data[place : place + 4])
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return chunks


def _repaired_png(rng: random.Random) -> bytes:
    chunks = png_chunks(_victim(rng, ".png"))
    number = rng.randrange(len(chunks))
    kind, content = chunks[number]
    what = rng.choice(("content", "content", "pixels", "order", "twice", "gone", "type"))
    if what == "content":
        chunks[number] = kind, damage(rng, content)
    elif what == "pixels" and kind == b"IDAT":
        chunks[number] = kind, zlib.compress(damage(rng, zlib.decompress(content)))
    elif what == "order":
        rng.shuffle(chunks)
    elif what == "twice":
        chunks[number:number] = [chunks[number]] * rng.choice((1, 2, 500))
    elif what == "gone":
        del chunks[number]
    else:
        chunks[number] = rng.choice(PNG_CHUNK_TYPES), content
    return png_file(chunks)


def _repaired_jpeg(rng: random.Random) -> bytes:
    """A damaged segment of a JPEG file, with the right length."""
    data = _victim(rng, ".jpg")
    starts = [match.start() for match in re.finditer(rb"\xff[\xc0-\xc4\xda\xdb\xdd\xe0-\xef\xfe]", data)]
    start = rng.choice(starts)
    end = start + 2 + int.from_bytes(data[start + 2 : start + 4])
    content = damage(rng, data[start + 4 : end])[:65533]
    marker = data[start : start + 2] if rng.random() < 0.8 else bytes((0xFF, rng.randrange(0xC0, 0xFF)))
    return data[:start] + marker + struct.pack(">H", len(content) + 2) + content + data[end:]


def _repaired_webp(rng: random.Random) -> bytes:
    """A damaged chunk of a WebP file, with the right lengths."""
    data = _victim(rng, ".webp")
    chunks, place = [], 12
    while place + 8 <= len(data):
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        chunks.append((data[place : place + 4], data[place + 8 : place + 8 + length]))
        place += 8 + length + length % 2
    number = rng.randrange(len(chunks))
    kind, content = chunks[number]
    chunks[number] = kind, damage(rng, content)
    if rng.random() < 0.2:
        rng.shuffle(chunks)
    body = b"".join(k + struct.pack("<I", len(c)) + c + b"\0" * (len(c) % 2) for k, c in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


REPAIRERS = (_repaired_png, _repaired_png, _repaired_jpeg, _repaired_webp)


def _victim(rng: random.Random, suffix: str) -> bytes:
    return rng.choice([data for name, data in victims().items() if name.endswith(suffix)])


# ---- headers with extreme values ----


def extreme_header(rng: random.Random) -> bytes:
    """A file with a few fields of its header set to extreme values."""
    suffix, find_start, fields = rng.choice(_HEADERS)
    data = _victim(rng, suffix)
    start = find_start(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        place, form = rng.choice(fields)
        data = _put(data, start + place, form, rng.choice(EXTREMES))
    return png_file(png_chunks(data)) if suffix == ".png" else data


def _put(data: bytes, place: int, form: str, value: int) -> bytes:
    size = struct.calcsize(form)
    return data[:place] + struct.pack(form, value % (1 << 8 * size)) + data[place + size :]


def _start_of_jpeg_frame(data: bytes) -> int:
    frame = re.search(rb"\xff[\xc0-\xc2]", data)
    assert frame is not None
    return frame.start()


def _start_of_gif_frame(data: bytes) -> int:
    palette = 3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0
    return data.index(b",", 13 + palette)


# File name suffix, where the header starts, and offsets and `struct` formats of its fields.
_HEADERS: tuple[tuple[str, Callable[[bytes], int], tuple[tuple[int, str], ...]], ...] = (
    (".png", lambda _: 16, ((0, ">I"), (4, ">I"), (8, "B"), (9, "B"), (10, "B"), (11, "B"), (12, "B"))),
    (".jpg", _start_of_jpeg_frame, ((4, "B"), (5, ">H"), (7, ">H"), (9, "B"), (10, "B"), (11, "B"), (12, "B"))),
    (".gif", lambda _: 6, ((0, "<H"), (2, "<H"), (4, "B"), (5, "B"))),
    (".gif", _start_of_gif_frame, ((1, "<H"), (3, "<H"), (5, "<H"), (7, "<H"), (9, "B"), (10, "B"))),
    (".bmp", lambda _: 10, ((0, "<I"), (4, "<I"), (8, "<I"), (12, "<I"), (16, "<H"), (18, "<H"), (20, "<I"))),
    (".bmp", lambda _: 30, ((0, "<I"), (4, "<I"), (16, "<I"), (20, "<I"))),
    (".webp", lambda _: 0, ((4, "<I"), (16, "<I"), (20, "B"), (21, "<I"), (24, "<I"), (26, "<H"), (28, "<H"))),
)


# ---- polyglots and other formats ----

_SCRIPT = b"<script>alert(document.domain)</script>"
_ENTITIES = (
    b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY x SYSTEM "file:///etc/passwd">]><svg xmlns="http://www.w3.org/2000/svg"><text>&b;&x;</text></svg>'
)
_POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 24\n(%pipe%id) (w) file\nshowpage\n"
_FOREIGN_FORMATS = ("TIFF", "ICO", "PPM", "TGA", "PCX", "DDS", "SGI", "PDF", "JPEG2000", "AVIF", "MPO")


@cache
def _foreign_pictures() -> list[bytes]:
    """Pictures in unsupported formats."""
    picture = Image.new("RGB", (SIDE, SIDE))
    return [*(encode(picture, name) for name in _FOREIGN_FORMATS), encode(picture.convert("1"), "XBM")]


def polyglot(rng: random.Random) -> bytes:
    """A picture that is valid in another format as well, or a file of an unsupported format."""
    picture = rng.choice(list(victims().values()))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(zipfile.ZipInfo("../../etc/cron.d/digits"), b"* * * * * root id\n")
    prefix = rng.choice((_SCRIPT, b"GIF89a=1;//", b"BM", b"%PDF-1.7\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP"))
    return rng.choice(
        (
            picture + archive.getvalue(),
            picture + b"<html><body>" + _SCRIPT,
            prefix + picture,
            b"GIF89a/*\0\0\0\0*/=1;alert(document.domain)",
            picture * 2,
            rng.choice(_foreign_pictures()),
            _ENTITIES,
            _POSTSCRIPT,
            b"'; DROP TABLE digits; --",
            b"",
            b"\0" * 1000,
            rng.randbytes(rng.randint(1, 4000)),
        )
    )


# ---- cut off ----


def _cuts(rng: random.Random) -> Iterator[bytes]:
    """One small file of each format, cut at every byte, in random order."""
    names = ("grey.png", "baseline.jpg", "still.gif", "1-bit.bmp", "lossy.webp", "lossless.webp", "progressive.jpg")
    files = [victims()[name] for name in names]
    cuts = list(chain.from_iterable((data[:end] for end in range(len(data))) for data in files))
    rng.shuffle(cuts)
    return iter(cuts)
