"""Files that are something else as well, or instead: what is sent in the hope that somebody opens it as that."""

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
    """A picture that is a zip archive when read from its end, with a name that leads out of its folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("../../etc/cron.d/digits"), b"* * * * * root id\n")
    return picture + buffer.getvalue()


def with_script(_chance: random.Random, picture: bytes) -> bytes:
    """A picture with a page at its end."""
    return picture + b"<html><body>" + _SCRIPT


def after_script(chance: random.Random, picture: bytes) -> bytes:
    """A picture behind what is no picture."""
    return (
        chance.choice((_SCRIPT, b"GIF89a=1;//", b"BM", b"%PDF-1.7\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP")) + picture
    )


def script_gif(_chance: random.Random, _picture: bytes) -> bytes:
    """A GIF header that is JavaScript."""
    return b"GIF89a/*\0\0\0\0*/=1;alert(document.domain)"


def picture_twice(_chance: random.Random, picture: bytes) -> bytes:
    """The same picture behind itself."""
    return picture * 2


def foreign(chance: random.Random, _picture: bytes) -> bytes:
    """A picture in a format that is not taken, some of them read by programs that can do more than draw."""
    name = chance.choice(_FOREIGN)
    picture = Image.new("1" if name == "XBM" else "RGB", (24, 24))
    return encode(picture, name) if name in _WRITABLE else bytes(24)


def text(chance: random.Random, _picture: bytes) -> bytes:
    """SVG with entities, PostScript with a pipe, SQL, nothing at all, or noise."""
    return chance.choice(
        (
            _ENTITIES,
            _POSTSCRIPT,
            b"'; DROP TABLE digits; --",
            b"",
            b"\0" * 1000,
            chance.randbytes(chance.randint(1, 4000)),
        )
    )


Image.init()
_WRITABLE = frozenset(Image.SAVE)
POLYGLOTS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    with_archive, with_script, after_script, script_gif, picture_twice, foreign, text,
)  # fmt: skip
