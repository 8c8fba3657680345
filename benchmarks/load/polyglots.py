"""Polyglot files, which are valid in another format as well, and files of unsupported formats."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable

from PIL import Image

from testing.pictures import encode

_SCRIPT = b"<script>alert(document.domain)</script>"
_ENTITIES = (
    b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY x SYSTEM "file:///etc/passwd">]><svg xmlns="http://www.w3.org/2000/svg"><text>&b;&x;</text></svg>'
)
_POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 24\n(%pipe%id) (w) file\nshowpage\n"
_FOREIGN = ("TIFF", "ICO", "PPM", "TGA", "PCX", "DDS", "SGI", "PDF", "JPEG2000", "AVIF", "MPO", "XBM")


def with_archive(_chance: random.Random, picture: bytes) -> bytes:
    """A picture that is also a zip archive with a path traversal."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("../../etc/cron.d/digits"), b"* * * * * root id\n")
    return picture + buffer.getvalue()


def with_script(_chance: random.Random, picture: bytes) -> bytes:
    """A picture followed by an HTML page."""
    return picture + b"<html><body>" + _SCRIPT


def after_script(rng: random.Random, picture: bytes) -> bytes:
    """A picture that follows other content."""
    return rng.choice((_SCRIPT, b"GIF89a=1;//", b"BM", b"%PDF-1.7\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP")) + picture


def script_gif(_chance: random.Random, _picture: bytes) -> bytes:
    """A GIF header that is valid JavaScript."""
    return b"GIF89a/*\0\0\0\0*/=1;alert(document.domain)"


def picture_twice(_chance: random.Random, picture: bytes) -> bytes:
    """The same picture twice."""
    return picture * 2


def foreign(rng: random.Random, _picture: bytes) -> bytes:
    """A picture in an unsupported format."""
    name = rng.choice(_FOREIGN)
    picture = Image.new("1" if name == "XBM" else "RGB", (24, 24))
    return encode(picture, name) if name in _WRITABLE else bytes(24)


def text(rng: random.Random, _picture: bytes) -> bytes:
    """SVG with entities, PostScript with a pipe, SQL, nothing at all, or noise."""
    return rng.choice(
        (
            _ENTITIES,
            _POSTSCRIPT,
            b"'; DROP TABLE digits; --",
            b"",
            b"\0" * 1000,
            rng.randbytes(rng.randint(1, 4000)),
        )
    )


Image.init()
_WRITABLE = frozenset(Image.SAVE)
POLYGLOTS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    with_archive, with_script, after_script, script_gif, picture_twice, foreign, text,
)  # fmt: skip
