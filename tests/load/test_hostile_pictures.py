"""The hostile pictures: the same for a seed, of every kind, and what their names say."""

import io
import random
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

import pytest
from PIL import Image

from benchmarks.load.bombs import BOMBS
from benchmarks.load.hostile_pictures import damage, hostile_pictures, png_chunks, png_file, victims
from benchmarks.load.polyglots import POLYGLOTS
from config import Limits
from recognition.errors import InputError
from recognition.picture import FORMATS, MAX_DECODED_SIDE, decode_picture

LIMITS = Limits(_env_file=None)
QUICK_BOMBS = {
    "text_png",
    "profile_png",
    "frames_gif",
    "scans_jpeg",
    "segments_jpeg",
    "tags_jpeg",
    "runs_bmp",
    "short_runs_bmp",
    "jumping_bmp",
}


def some(seed: int, count: int = 400) -> list[tuple[str, bytes]]:
    # Bombs have tests of their own; building them takes seconds.
    wanted = (picture for picture in hostile_pictures(seed, bombs=False))
    return [(picture.kind, picture.data) for picture in islice(wanted, count)]


def test_same_pictures_for_the_same_seed() -> None:
    assert some(1) == some(1)
    assert some(1) != some(2)


def test_every_kind_is_among_them() -> None:
    counts = Counter(kind for kind, _ in some(0))
    assert counts.keys() == {"damaged", "repaired", "extreme header", "cut", "polyglot"}


def test_what_they_are_made_of_is_valid_and_of_every_format() -> None:
    for name, data in victims().items():
        assert decode_picture(data, LIMITS).size > 0, name
    assert {Image.open(io.BytesIO(data)).format for data in victims().values()} == set(FORMATS)


def test_damage_changes_something() -> None:
    rng = random.Random(0)
    data = victims()["grey.png"]
    changed = [damage(rng, data) != data for _ in range(200)]
    assert sum(changed) > 180  # a few write what was there


def test_damage_copes_with_nothing() -> None:
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


@pytest.mark.parametrize("polyglot", POLYGLOTS, ids=lambda polyglot: polyglot.__name__)
def test_polyglots_are_files(polyglot: Callable[[random.Random, bytes], bytes]) -> None:
    assert isinstance(polyglot(random.Random(0), victims()["grey.png"]), bytes)


@pytest.mark.parametrize("seed", range(3))
def test_no_hostile_picture_is_more_than_an_input_error(seed: int) -> None:
    for kind, data in some(seed, 300):
        try:
            picture = decode_picture(data, LIMITS)
        except InputError:
            continue
        assert picture.min() >= 0, kind
        assert picture.max() <= 1, kind


# Those of 49 megapixels take seconds to make and to read: they are left to `make fuzz`.
@pytest.mark.parametrize(
    "bomb", [bomb for bomb in BOMBS if bomb.__name__ in QUICK_BOMBS], ids=lambda bomb: bomb.__name__
)
def test_bombs_are_small_and_do_no_harm(bomb: Callable[[], bytes]) -> None:
    data = bomb()
    assert len(data) < 3 * 2**20
    with suppress(InputError):
        assert decode_picture(data, LIMITS).size <= MAX_DECODED_SIDE**2
