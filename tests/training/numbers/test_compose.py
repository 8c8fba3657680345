"""Composed numbers."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from testing.tiny_mnist import make_digits
from training.datasets.drawings import Drawings
from training.numbers.compose import choose_text, compose_number, write
from training.numbers.symbols import Pen, write_ligatures
from training.numbers.writers import Writer, group_by_writer


@pytest.fixture(scope="module")
def writer() -> Writer:
    frames, labels = make_digits(60, 0)
    return Writer(tuple(tuple(frames[labels == digit]) for digit in range(10)))


def test_picture_is_the_same_for_the_same_seed(writer: Writer) -> None:
    writers = {name: [writer] for name in ("mnist", "unipen", "pendigits", "swiss", "semeion")}
    first, again = (compose_number(writers, np.random.default_rng(3)) for _ in range(2))
    assert first[1] == again[1]
    assert np.array_equal(first[0], again[0])
    other, _ = compose_number(writers, np.random.default_rng(4))
    assert other.shape != first[0].shape or not np.array_equal(other, first[0])


def test_pictures_have_values_from_0_to_1_and_ink(writer: Writer) -> None:
    writers = {name: [writer] for name in ("mnist", "unipen", "pendigits", "swiss", "semeion")}
    rng = np.random.default_rng(0)
    for _ in range(60):
        picture, text = compose_number(writers, rng)
        assert text.isdecimal()
        assert picture.dtype == np.float32
        assert 0 <= picture.min() < picture.max() <= 1


def test_digits_apart_have_gaps_and_touching_ones_fewer(writer: Writer) -> None:
    def gaps(kind: str) -> int:
        rng = np.random.default_rng(1)
        inks = [write("8888", writer, rng, with_signs=False, gaps=kind, pen_width=3) for _ in range(20)]
        columns = [np.flatnonzero((ink > 60).any(axis=0)) for ink in inks]
        return sum(int((np.diff(each) > 1).sum()) for each in columns)

    assert gaps("apart") >= 55  # of 60, because digits lean over each other
    assert gaps("touching") < 30


def test_digits_below_the_base_line_are_joined_too() -> None:
    canvas = np.zeros((120, 120), np.uint8)
    for seed in range(10):
        write_ligatures(canvas, [(20, 30, 90), (34, 44, 90)], 80.0, Pen(3.0, 1.0), np.random.default_rng(seed))
    assert canvas[80:].any()


def test_digit_with_an_odd_form_is_drawn_with_it(writer: Writer) -> None:
    def write_one(odd: dict[int, int]) -> NDArray[np.uint8]:
        return write("8", writer, np.random.default_rng(2), odd, with_signs=False, pen_width=3)

    assert not np.array_equal(write_one({}), write_one({8: 0}))
    assert np.array_equal(write_one({}), write_one({1: 0}))


def test_texts_have_every_digit_and_repeated_ones() -> None:
    rng = np.random.default_rng(0)
    texts = [choose_text(rng) for _ in range(500)]
    assert set("".join(texts)) == set("0123456789")
    assert {len(text) for text in texts} == set(range(1, 9))
    assert sum(any(a == b for a, b in pairwise(text)) for text in texts) > 150


def test_validation_has_other_writers_than_training() -> None:
    names = [f"writer {index // 10}" for index in range(200)]
    lines = [[np.full((2, 2), float(index))] for index in range(200)]
    drawings = Drawings(lines, torch.arange(200) % 10, names)
    known: list[set[float]] = []
    for for_validation in (False, True):
        writers = group_by_writer(drawings, for_validation)
        known.append({float(glyph[0][0, 0]) // 10 for writer in writers for glyph in writer.glyphs[0]})
    assert known[0]
    assert known[1]
    assert not known[0] & known[1]
    assert len(known[0] | known[1]) == 20
