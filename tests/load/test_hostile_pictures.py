"""Hostile pictures: reproducible, of every kind, and harmless to the decoder."""

import io
import random
import zlib
from collections import Counter
from contextlib import suppress
from itertools import islice

import pytest
from PIL import Image

from benchmarks.load.decompression_bombs import make_bomb, png_file
from benchmarks.load.hostile_pictures import damage, hostile_pictures, png_chunks, victims
from config import Limits
from recognition.errors import InputError
from recognition.picture import FORMATS, MAX_DECODED_SIDE, decode_picture

LIMITS = Limits(_env_file=None)
# Files of 49 megapixels take seconds to make and to decode: only `make fuzz` decodes them.
QUICK_BOMBS = (
    "PNG, 320 MB of text",
    "PNG, colour profile of 64 MB",
    "GIF, 20,000 frames",
    "JPEG, 10,000 scans",
    "JPEG, 100,000 comments",
    "JPEG, circular EXIF directories",
    "BMP, 49 megapixels of runs",
    "BMP, rows of one pixel",
    "BMP, jumps beyond the picture",
)


def some(seed: int, count: int = 400) -> list[tuple[str, bytes]]:
    # Bombs take seconds to make, and have their own test.
    wanted = (picture for picture in hostile_pictures(seed, bombs=False))
    return [(picture.kind, picture.data) for picture in islice(wanted, count)]


def test_same_pictures_for_the_same_seed() -> None:
    assert some(1) == some(1)
    assert some(1) != some(2)


def test_every_kind_is_among_them() -> None:
    counts = Counter(kind for kind, _ in some(0))
    assert counts.keys() == {"damaged", "repaired", "extreme header", "cut", "polyglot"}


def test_victims_are_valid_and_of_every_format() -> None:
    for name, data in victims().items():
        assert decode_picture(data, LIMITS).size > 0, name
    assert {Image.open(io.BytesIO(data)).format for data in victims().values()} == set(FORMATS)


def test_damage_changes_something() -> None:
    rng = random.Random(0)
    data = victims()["grey.png"]
    changed = [damage(rng, data) != data for _ in range(200)]
    assert sum(changed) > 180  # some replace a byte by the same value


def test_damage_accepts_empty_data() -> None:
    rng = random.Random(0)
    for _ in range(100):
        damage(rng, b"")


def test_png_file_has_right_checksums() -> None:
    data = victims()["alpha.png"]
    assert png_file(png_chunks(data)) == data
    kinds = [kind for kind, _ in png_chunks(data)]
    assert (kinds[0], kinds[-1]) == (b"IHDR", b"IEND")


def test_repaired_pngs_have_right_checksums() -> None:
    repaired = [data for kind, data in some(3) if kind == "repaired" and data.startswith(b"\x89PNG")]
    assert len(repaired) > 20
    for data in repaired:
        for kind, content in png_chunks(data):
            assert (zlib.crc32(kind + content)).to_bytes(4) in data


def test_small_files_are_cut_at_every_byte() -> None:
    cuts = {
        data
        for kind, data in islice(((k.kind, k.data) for k in hostile_pictures(0, bombs=False)), 25_000)
        if kind == "cut"
    }
    whole = victims()["grey.png"]
    assert {whole[:end] for end in range(len(whole))} <= cuts


@pytest.mark.parametrize("seed", range(3))
def test_hostile_pictures_raise_nothing_but_input_errors(seed: int) -> None:
    for kind, data in some(seed, 300):
        try:
            picture = decode_picture(data, LIMITS)
        except InputError:
            continue
        assert picture.min() >= 0, kind
        assert picture.max() <= 1, kind


@pytest.mark.parametrize("name", QUICK_BOMBS)
def test_bombs_are_small_and_harmless(name: str) -> None:
    data = make_bomb(name)
    assert len(data) < 3 * 2**20
    with suppress(InputError):
        assert decode_picture(data, LIMITS).size <= MAX_DECODED_SIDE**2
