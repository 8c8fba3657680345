"""Decoding: every format looks as in a viewer, and all other bytes raise `PictureError`."""

import struct
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from PIL.JpegImagePlugin import JpegImageFile

from config import Limits
from recognition import picture
from recognition.errors import PictureError, PictureTooLarge, UndecodablePicture, UnsupportedPicture
from recognition.picture import MAX_DECODED_SIDE, decode_picture
from testing.handwriting import EUROPEAN_7
from testing.pictures import draw_picture, encode

LIMITS = Limits(_env_file=None)


def decode(data: bytes, limits: Limits = LIMITS) -> NDArray[np.float32]:
    """The picture in `data`, checked for what holds for every picture."""
    picture = decode_picture(data, limits)
    assert (picture.dtype, picture.ndim) == (np.float32, 2)
    assert picture.flags.c_contiguous
    assert 0 <= picture.min() <= picture.max() <= 1
    return picture


def hook(size: tuple[int, int] = (48, 32)) -> Image.Image:
    """Black on white, and different in every orientation."""
    picture = Image.new("L", size, 255)
    pencil = ImageDraw.Draw(picture)
    pencil.rectangle((8, 4, 15, 27), fill=0)
    pencil.rectangle((8, 4, 39, 11), fill=0)
    return picture


HOOK = hook()
INK = 1 - np.asarray(HOOK, np.float32) / 255
DEEP = Image.fromarray(np.asarray(HOOK).astype(np.uint16) * 257)
WHITE = Image.new("L", HOOK.size, 255)


def on_nothing(ink: int, mode: str) -> Image.Image:
    """The hook in a shade of grey, with transparency for paper."""
    shade = Image.new("L", HOOK.size, ink)
    clear = Image.merge("LA", (shade, HOOK.point(lambda value: 255 - value)))
    return clear.convert("RGBA").quantize(16, Image.Quantize.FASTOCTREE) if mode == "P" else clear.convert(mode)


FILES = {
    "PNG": encode(HOOK),
    "PNG in colour": encode(HOOK.convert("RGB")),
    "PNG of two colours": encode(HOOK.convert("1")),
    "PNG with a palette": encode(HOOK.convert("RGB").quantize(4)),
    "PNG of 16 bits": encode(DEEP),
    "PNG with alpha": encode(HOOK.convert("RGBA")),
    "JPEG": encode(HOOK, "JPEG", quality=95),
    "JPEG in colour": encode(HOOK.convert("RGB"), "JPEG", quality=95),
    "JPEG of printing colours": encode(HOOK.convert("CMYK"), "JPEG", quality=95),
    "JPEG, progressive": encode(HOOK.convert("RGB"), "JPEG", quality=95, progressive=True),
    "JPEG of two pictures": encode(HOOK.convert("RGB"), "MPO", quality=95, save_all=True, append_images=[WHITE]),
    "GIF": encode(HOOK, "GIF"),
    "GIF that moves": encode(HOOK, "GIF", save_all=True, append_images=[WHITE]),
    "BMP": encode(HOOK, "BMP"),
    "BMP in colour": encode(HOOK.convert("RGB"), "BMP"),
    "BMP of two colours": encode(HOOK.convert("1"), "BMP"),
    "BMP with alpha": encode(HOOK.convert("RGBA"), "BMP"),
    "WebP": encode(HOOK, "WEBP", quality=95),
    "WebP without loss": encode(HOOK, "WEBP", lossless=True),
    "WebP with alpha": encode(on_nothing(0, "RGBA"), "WEBP", lossless=True),
    "WebP that moves": encode(HOOK, "WEBP", quality=95, save_all=True, append_images=[WHITE]),
}
each_file = pytest.mark.parametrize("data", FILES.values(), ids=FILES)


# ---- what a person sees ----


@each_file
def test_every_format_gives_the_same_picture(data: bytes) -> None:
    np.testing.assert_allclose(decode(data), INK, atol=0.15)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize(("shade", "inverted"), [(0, False), (60, False), (225, True), (255, True)])
def test_ink_on_transparency_stands_out(mode: str, shade: int, inverted: bool) -> None:
    picture = decode(encode(on_nothing(shade, mode)))
    expected = 1 - INK if inverted else INK
    assert np.abs(picture - expected).max() < 0.3


@pytest.mark.parametrize("pen", [2, 6, 20])
def test_transparent_corners_of_a_white_card_are_not_ink(pen: int) -> None:
    card = Image.new("RGBA", (280, 280))
    pencil = ImageDraw.Draw(card)
    pencil.rounded_rectangle((4, 4, 275, 275), 20, fill="white")
    pencil.line((140, 60, 140, 220), fill="black", width=pen)
    picture = decode(encode(card))
    assert picture[0, 0] == picture[30, 30] == 0
    assert picture[140, 140] == 1


def test_wholly_transparent_picture_is_blank_paper() -> None:
    assert not decode(encode(Image.new("RGBA", (20, 20), (255, 255, 255, 0)))).any()


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, None),
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE),
        (6, Image.Transpose.ROTATE_90),
        (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_270),
    ],
)
def test_rotation_tag_is_followed(file_format: str, orientation: int, undo: Image.Transpose | None) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = HOOK if undo is None else HOOK.transpose(undo)
    picture = decode(encode(stored, file_format, exif=exif, quality=95))
    np.testing.assert_allclose(picture, INK, atol=0.15)


def test_rotation_tag_is_followed_where_the_picture_is_reduced() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encode(Image.new("L", (4000, 1000)), exif=exif)).shape == (1334, 334)


@pytest.mark.filterwarnings("ignore::UserWarning")  # as recognition.picture has it, until pytest sets its own filters
def test_unreadable_tag_is_ignored() -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + struct.pack(">HHII", 0x010E, 2, 1000, 10**6)
    jpeg = FILES["JPEG"]
    damaged = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    np.testing.assert_allclose(decode(damaged), INK, atol=0.15)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16", "1"])
def test_large_picture_is_averaged_down(mode: str) -> None:
    stripes = np.zeros((64, 3200), np.uint8)
    stripes[:, ::2] = 255
    values = stripes.astype(np.uint16) * 257 if mode == "I;16" else stripes
    picture = decode(encode(Image.fromarray(values).convert(mode) if mode != "I;16" else Image.fromarray(values)))
    assert max(picture.shape) <= MAX_DECODED_SIDE
    # Every third pixel, in place of the mean of three, would show stripes still.
    assert np.abs(picture - 0.5).max() < 0.2


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16", "P"])
def test_each_pixel_is_the_mean_of_its_block_in_the_file(mode: str) -> None:
    values = np.random.default_rng(0).integers(0, 256, (2001, 1700), dtype=np.uint8)  # in strips, the last one cut off
    stored = Image.fromarray(values.astype(np.uint16) * 257 if mode == "I;16" else values)
    picture = decode(encode(stored if mode in {"L", "I;16"} else stored.convert(mode)))
    padded = np.pad(values.astype(float), ((0, 1), (0, 0)), mode="edge")
    means = padded.reshape(1001, 2, 850, 2).mean((1, 3))
    np.testing.assert_allclose(picture, 1 - means / 255, atol=0.005)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (MAX_DECODED_SIDE + 1, 3)])
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_extreme_shapes_are_pictures(size: tuple[int, int], file_format: str) -> None:
    picture = decode(encode(Image.new("L", size, 255), file_format))
    assert picture.max() < 0.02


# ---- limits ----


def png_of_size(width: int, height: int) -> bytes:
    """A PNG file whose header declares so many pixels."""
    png = FILES["PNG"]
    start = png.index(b"IHDR")
    header = b"IHDR" + struct.pack(">II", width, height) + png[start + 12 : start + 17]
    return png[:start] + header + struct.pack(">I", zlib.crc32(header)) + png[start + 21 :]


def jpeg_of_size(width: int, height: int) -> bytes:
    jpeg = FILES["JPEG"]
    place = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:place] + struct.pack(">HH", height, width) + jpeg[place + 4 :]


def gif_of_size(width: int, height: int) -> bytes:
    return FILES["GIF"][:6] + struct.pack("<HH", width, height) + FILES["GIF"][10:]


def bmp_of_size(width: int, height: int) -> bytes:
    return FILES["BMP"][:18] + struct.pack("<II", width, height) + FILES["BMP"][26:]


def webp_of_size(width: int, height: int) -> bytes:
    canvas = (
        b"VP8X" + struct.pack("<II", 10, 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    )
    chunks = b"WEBP" + canvas + FILES["WebP without loss"][12:]
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


@pytest.mark.parametrize(
    "data",
    [
        png_of_size(60_000, 60_000),
        png_of_size(9_500, 9_500),  # what Pillow itself only warns of
        png_of_size(7_100, 7_100),
        jpeg_of_size(60_000, 60_000),
        gif_of_size(60_000, 60_000),
        bmp_of_size(60_000, 60_000),
        webp_of_size(16_383, 16_383),
    ],
    ids=["PNG", "PNG of 90 megapixels", "PNG just above the limit", "JPEG", "GIF", "BMP", "WebP"],
)
def test_picture_of_too_many_pixels_is_refused_before_it_is_decoded(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: Image.Image) -> None:
        raise AssertionError("it was decoded")

    for image_class in (Image.Image, *JpegImageFile.__bases__):
        monkeypatch.setattr(image_class, "load", load)
    with pytest.raises(PictureTooLarge, match="more than 50 megapixels"):
        decode(data)


@pytest.mark.parametrize("size", [(1, 70_000), (70_000, 1)])
def test_picture_of_too_many_rows_or_columns_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(PictureTooLarge, match="65,535 pixels wide or high"):
        decode(encode(Image.new("1", size)))


def test_pixel_limit_is_a_setting() -> None:
    exactly = HOOK.width * HOOK.height / 1e6
    decode(FILES["PNG"], Limits(_env_file=None, max_megapixels=exactly))
    with pytest.raises(PictureTooLarge, match=r"more than 0\.001 megapixels"):
        decode(FILES["PNG"], Limits(_env_file=None, max_megapixels=0.001))


def test_photograph_is_decoded_at_reduced_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    photograph = encode(Image.new("RGB", (4000, 3000), "white"), "JPEG")
    decoded = []
    load = JpegImageFile.load

    def watched_load(image: JpegImageFile) -> Any:
        result = load(image)
        decoded.append(image.size)
        return result

    monkeypatch.setattr(JpegImageFile, "load", watched_load)
    picture = decode(photograph)
    assert decoded[0] == (2000, 1500)
    assert picture.shape == (750, 1000)


# ---- invalid files ----


def wave_file() -> bytes:
    return b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + bytes(28)


FOREIGN = {
    "text": b"hello",
    "one byte": b"\x89",
    "markup": b"<!DOCTYPE html><title>7</title>",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h9"/></svg>',
    "PDF": encode(HOOK, "PDF"),
    "PostScript": encode(HOOK, "EPS"),
    "TIFF": encode(HOOK, "TIFF"),
    "ICO": encode(HOOK.convert("RGB"), "ICO"),
    "PPM": encode(HOOK, "PPM"),
    "TGA": encode(HOOK, "TGA"),
    "JPEG 2000": encode(HOOK, "JPEG2000"),
    "PSD": b"8BPS\0\x01" + bytes(6) + struct.pack(">HIIHH", 1, 32, 48, 8, 1) + bytes(2000),
    "sound": wave_file(),
    "zip": b"PK\x03\x04" + bytes(100),
    "program": b"\x7fELF" + bytes(100),
    "zeros": bytes(1000),
    "markup before a PNG": b"<html>" + FILES["PNG"],
}


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN)
def test_other_formats_are_not_supported(data: bytes) -> None:
    with pytest.raises(UnsupportedPicture, match="PNG, JPEG, GIF, BMP or WebP"):
        decode(data)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


def test_heic_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "_OPENED", picture.FORMATS)  # as where pillow-heif is not installed
    with pytest.raises(UnsupportedPicture, match=r"HEIC .* Save the picture as JPEG"):
        decode(HEIC)


def test_heic_is_read_where_pillow_heif_is_installed() -> None:
    seven = draw_picture(EUROPEAN_7)
    found = decode(encode(seven, "HEIF"))
    assert np.abs(found - decode(encode(seven))).mean() < 0.02
    with pytest.raises(UndecodablePicture, match="damaged"):
        decode(HEIC)


def test_empty_file_is_not_a_picture() -> None:
    with pytest.raises(UndecodablePicture, match="empty"):
        decode(b"")


@pytest.mark.parametrize("data", [b"GIF89a=alert(7)//", b"BM<script>alert(7)</script>", b"\xff\xd8\xff\xe0%PDF-1.7"])
def test_signature_alone_is_not_a_picture(data: bytes) -> None:
    with pytest.raises(UndecodablePicture, match="damaged"):
        decode(data)


@each_file
def test_data_after_a_picture_is_ignored(data: bytes) -> None:
    np.testing.assert_array_equal(decode(data + b"<script>alert(7)</script>PK\x03\x04"), decode(data))


@each_file
def test_half_a_picture_is_damaged(data: bytes) -> None:
    first_frame_ends = 140 if data[:3] == b"GIF" else len(data)
    with pytest.raises(UndecodablePicture, match="damaged"):
        decode(data[: first_frame_ends // 2])


@each_file
def test_picture_cut_anywhere_is_an_error_or_a_picture(data: bytes) -> None:
    for length in range(1, len(data), max(1, len(data) // 200)):
        with suppress(PictureError):
            decode(data[:length])


@pytest.mark.filterwarnings("ignore::UserWarning")
@hypothesis_settings(max_examples=100)
@given(
    data=st.sampled_from(list(FILES.values())),
    changes=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_damaged_picture_is_an_error_or_a_picture(data: bytes, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(data)] = value
    with suppress(PictureError):
        decode(bytes(damaged))


@given(
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"RIFF\xff\0\0\0WEBP"]), st.binary()
)
def test_any_bytes_are_an_error_or_a_picture(start: bytes, rest: bytes) -> None:
    with suppress(PictureError):
        decode(start + rest)


DECODER_ERRORS = (
    *(SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OSError, OverflowError, ZeroDivisionError),
    *(RecursionError, MemoryError, NotImplementedError, struct.error, zlib.error),
)


@pytest.mark.parametrize("error", DECODER_ERRORS, ids=lambda error: f"{error.__module__}.{error.__name__}")
def test_any_exception_of_a_decoder_is_a_damaged_picture(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Image.Image) -> None:
        raise error("deep inside")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load_prepare", fail)
    with pytest.raises(UndecodablePicture, match="damaged") as caught:
        decode(FILES["PNG"])
    assert "deep inside" not in str(caught.value)
