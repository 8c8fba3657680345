"""Picture files made to do harm, the same ones for the same seed.

    pictures = hostile_pictures(seed=0)
    next(pictures).kind, next(pictures).data

Small valid files of every format and mode are damaged at random; damaged where checksums and lengths are made to fit
again, so that decoders get past them; given extreme headers; cut at every byte; packed so that they unfold to
thousands of times their size; or made to be something else at the same time.
"""

from __future__ import annotations

import random
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain

from PIL import Image

from benchmarks.load.bombs import BOMBS
from benchmarks.load.polyglots import POLYGLOTS
from testing.handwriting import DIGITS
from testing.pictures import draw_picture, encode

SIDE = 24  # of the files that are damaged, in pixels: small, so that damage hits what matters
EXTREMES = (
    0,
    1,
    2,
    7,
    8,
    9,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
)


@dataclass(frozen=True, slots=True)
class HostilePicture:
    """A file, and by what means it was made."""

    kind: str
    data: bytes


def hostile_pictures(seed: int, *, bombs: bool = True) -> Iterator[HostilePicture]:
    """Endless files, of all kinds at random; `bombs` are costly to make and to read."""
    chance = random.Random(seed)
    makers: dict[str, Callable[[], bytes]] = {
        "damaged": lambda: damage(chance, chance.choice(list(victims().values()))),
        "repaired": lambda: chance.choice(REPAIRERS)(chance),
        "extreme header": lambda: chance.choice(EXTREME_HEADERS)(chance),
        "polyglot": lambda: chance.choice(POLYGLOTS)(chance, chance.choice(list(victims().values()))),
        "bomb": lambda: chance.choice(BOMBS)(),
    }
    weights = {"damaged": 30, "repaired": 24, "extreme header": 20, "cut": 20, "polyglot": 5, "bomb": int(bombs)}
    cuts = _cuts(chance)
    while True:
        (kind,) = chance.choices(list(weights), list(weights.values()))
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


# ---- at random ----


def damage(chance: random.Random, data: bytes) -> bytes:
    """`data` with one to eight things wrong in it."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        data = chance.choice(_DAMAGES)(chance, data)
    return data


def _flip_bit(chance: random.Random, data: bytes) -> bytes:
    place = chance.randrange(len(data) or 1)
    return data[:place] + bytes(byte ^ 1 << chance.randrange(8) for byte in data[place : place + 1]) + data[place + 1 :]


def _overwrite(chance: random.Random, data: bytes) -> bytes:
    place = chance.randrange(len(data) or 1)
    new = chance.choice(
        (b"\0", b"\xff", b"\x80", b"\x7f\xff\xff\xff", b"\xff" * 4, chance.randbytes(chance.randint(1, 16)))
    )
    return data[:place] + new + data[place + len(new) :]


def _remove(chance: random.Random, data: bytes) -> bytes:
    start, end = _span(chance, data)
    return data[:start] + data[end:]


def _repeat(chance: random.Random, data: bytes) -> bytes:
    start, end = _span(chance, data)
    return data[:end] + data[start:end] * chance.choice((1, 2, 100)) + data[end:]


def _splice(chance: random.Random, data: bytes) -> bytes:
    other = chance.choice(list(victims().values()))
    return data[: chance.randrange(len(data) or 1)] + other[chance.randrange(len(other)) :]


def _span(chance: random.Random, data: bytes) -> tuple[int, int]:
    start = chance.randrange(len(data) or 1)
    return start, min(len(data), start + chance.choice((1, 4, 16, 64)))


_DAMAGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flip_bit,
    _flip_bit,
    _overwrite,
    _remove,
    _repeat,
    _splice,
)


# ---- at random, but with checksums and lengths that fit ----


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Type and content of each chunk of a PNG file."""
    chunks, place = [], 8
    while place < len(data):
        length = int.from_bytes(data[place : place + 4])
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return chunks


def png_file(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG file of these chunks, each with the right length and CRC."""
    written = (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def _repaired_png(chance: random.Random) -> bytes:
    chunks = png_chunks(_victim(chance, ".png"))
    number = chance.randrange(len(chunks))
    kind, content = chunks[number]
    what = chance.choice(("content", "content", "pixels", "order", "twice", "gone", "type"))
    if what == "content":
        chunks[number] = kind, damage(chance, content)
    elif what == "pixels" and kind == b"IDAT":
        chunks[number] = kind, zlib.compress(damage(chance, zlib.decompress(content)))
    elif what == "order":
        chance.shuffle(chunks)
    elif what == "twice":
        chunks[number:number] = [chunks[number]] * chance.choice((1, 2, 500))
    elif what == "gone":
        del chunks[number]
    else:
        types = (
            b"IHDR",
            b"PLTE",
            b"tRNS",
            b"IDAT",
            b"iCCP",
            b"eXIf",
            b"zTXt",
            b"acTL",
            b"fcTL",
            b"fdAT",
            b"gAMA",
            b"cHRM",
        )
        chunks[number] = chance.choice(types), content
    return png_file(chunks)


def _repaired_jpeg(chance: random.Random) -> bytes:
    """A damaged segment of a JPEG file, with the right length."""
    data = _victim(chance, ".jpg")
    starts = [match.start() for match in re.finditer(rb"\xff[\xc0-\xc4\xda\xdb\xdd\xe0-\xef\xfe]", data)]
    start = chance.choice(starts)
    end = start + 2 + int.from_bytes(data[start + 2 : start + 4])
    content = damage(chance, data[start + 4 : end])[:65533]
    marker = data[start : start + 2] if chance.random() < 0.8 else bytes((0xFF, chance.randrange(0xC0, 0xFF)))
    return data[:start] + marker + struct.pack(">H", len(content) + 2) + content + data[end:]


def _repaired_webp(chance: random.Random) -> bytes:
    """A damaged chunk of a WebP file, with the right lengths."""
    data = _victim(chance, ".webp")
    chunks, place = [], 12
    while place + 8 <= len(data):
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        chunks.append((data[place : place + 4], data[place + 8 : place + 8 + length]))
        place += 8 + length + length % 2
    number = chance.randrange(len(chunks))
    kind, content = chunks[number]
    chunks[number] = kind, damage(chance, content)
    if chance.random() < 0.2:
        chance.shuffle(chunks)
    body = b"".join(k + struct.pack("<I", len(c)) + c + b"\0" * (len(c) % 2) for k, c in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


REPAIRERS = (_repaired_png, _repaired_png, _repaired_jpeg, _repaired_webp)


def _victim(chance: random.Random, suffix: str) -> bytes:
    return chance.choice([data for name, data in victims().items() if name.endswith(suffix)])


# ---- headers at the ends of what they can say ----


def _put(data: bytes, place: int, form: str, value: int) -> bytes:
    size = struct.calcsize(form)
    return data[:place] + struct.pack(form, value % (1 << 8 * size)) + data[place + size :]


def _extreme_png(chance: random.Random) -> bytes:
    chunks = png_chunks(_victim(chance, ".png"))
    header = chunks[0][1]
    for _ in range(chance.choice((1, 1, 2, 3))):
        place, form = chance.choice(((0, ">I"), (4, ">I"), (8, "B"), (9, "B"), (10, "B"), (11, "B"), (12, "B")))
        header = _put(header, place, form, chance.choice(EXTREMES))
    return png_file([(b"IHDR", header), *chunks[1:]])


def _extreme_jpeg(chance: random.Random) -> bytes:
    """Precision, height, width, number of components, their sampling and tables."""
    data = _victim(chance, ".jpg")
    frame = re.search(rb"\xff[\xc0-\xc2]", data)
    assert frame is not None
    place, form = chance.choice(((4, "B"), (5, ">H"), (7, ">H"), (9, "B"), (10, "B"), (11, "B"), (12, "B")))
    return _put(data, frame.start() + place, form, chance.choice(EXTREMES))


def _extreme_gif(chance: random.Random) -> bytes:
    """Size of the screen and of the first frame, its place, flags, and the code size of its pixels."""
    data = _victim(chance, ".gif")
    palette = 3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0
    descriptor = data.index(b",", 13 + palette)
    place, form = chance.choice(
        (
            (6, "<H"),
            (8, "<H"),
            (10, "B"),
            (11, "B"),
            *((descriptor + offset, "<H") for offset in (1, 3, 5, 7)),
            (descriptor + 9, "B"),
            (descriptor + 10, "B"),
        )
    )
    return _put(data, place, form, chance.choice(EXTREMES))


def _extreme_bmp(chance: random.Random) -> bytes:
    """Offset of the pixels, size of the header, width, height, planes, depth, compression, colours, masks."""
    data = _victim(chance, ".bmp")
    for _ in range(chance.choice((1, 1, 2))):
        place, form = chance.choice(
            (
                (10, "<I"),
                (14, "<I"),
                (18, "<I"),
                (22, "<I"),
                (26, "<H"),
                (28, "<H"),
                (30, "<I"),
                (34, "<I"),
                (46, "<I"),
                (50, "<I"),
            )
        )
        data = _put(data, place, form, chance.choice(EXTREMES))
    return data


def _extreme_webp(chance: random.Random) -> bytes:
    """Lengths of the file and its first chunk, flags, canvas or frame size."""
    data = _victim(chance, ".webp")
    place, form = chance.choice(
        ((4, "<I"), (16, "<I"), (20, "B"), (21, "<I"), (24, "<I"), (26, "<H"), (27, "<H"), (28, "<H"))
    )
    return _put(data, place, form, chance.choice(EXTREMES))


EXTREME_HEADERS = (_extreme_png, _extreme_jpeg, _extreme_gif, _extreme_bmp, _extreme_webp)


# ---- cut off ----


def _cuts(chance: random.Random) -> Iterator[bytes]:
    """One small file of each format, cut at every byte, in no order."""
    names = ("grey.png", "baseline.jpg", "still.gif", "1-bit.bmp", "lossy.webp", "lossless.webp", "progressive.jpg")
    files = [victims()[name] for name in names]
    cuts = list(chain.from_iterable((data[:end] for end in range(len(data))) for data in files))
    chance.shuffle(cuts)
    return iter(cuts)
