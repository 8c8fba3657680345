"""Composed pen strokes."""

from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from recognition.ctc import OTHER_SYMBOL
from recognition.strokes import Stroke
from training.datasets.drawings import Drawings
from training.datasets.open import OPEN_NONDIGITS, load_pendigits, load_unipen_digits
from training.numbers import strokes as composer
from training.numbers.rare_shapes import draw_form
from training.numbers.strokes import Pens, compose_drawing, load_pens
from training.numbers.writers import Writer

ROOT = Path(__file__).parents[3] / "data"


@pytest.fixture(scope="module")
def pens() -> Pens:
    """One writer, whose digits are forms drawn by hand, and whose only other ink is a cross."""
    rng = np.random.default_rng(0)
    writer = Writer(tuple((draw_form(label, rng, 0), draw_form(label, rng, 1)) for label in range(10)))
    cross = [np.array([[0.0, 0.0], [10.0, 10.0]]), np.array([[0.0, 10.0], [10.0, 0.0]])]
    return Pens([writer], [writer], [[cross]])


def drawings(pens: Pens, count: int) -> list[tuple[list[Stroke], str]]:
    rng = np.random.default_rng(1)
    return [compose_drawing(pens, rng) for _ in range(count)]


def test_drawing_is_the_same_for_the_same_seed(pens: Pens) -> None:
    (first, text), (second, same) = (compose_drawing(pens, np.random.default_rng(3)) for _ in range(2))
    assert text == same
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_strokes_are_finite_and_about_as_high_as_a_digit(pens: Pens) -> None:
    for strokes, _ in drawings(pens, 50):
        points = np.concatenate(strokes)
        assert np.isfinite(points).all()
        assert 0.05 < np.ptp(points[:, 1]) < 3


def test_symbols_are_digits_and_other_ink(pens: Pens) -> None:
    texts = [text for _, text in drawings(pens, 400)]
    symbols = Counter("".join(texts))
    assert set(symbols) == set("0123456789") | {OTHER_SYMBOL}
    assert 0.1 < np.mean([set(text) == {OTHER_SYMBOL} for text in texts]) < 0.35
    assert 0.05 < np.mean([OTHER_SYMBOL in text and set(text) != {OTHER_SYMBOL} for text in texts]) < 0.4


def test_joined_digits_are_one_stroke(pens: Pens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composer, "_SHARE_JOINED", 1.0)
    monkeypatch.setattr(composer, "_SHARE_OTHER", 0.0)
    monkeypatch.setattr(composer, "_SHARE_SIGNS", 0.0)
    assert any(len(strokes) < len(text) for strokes, text in drawings(pens, 20))


def test_digits_are_drawn_in_any_order(pens: Pens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composer, "_SHARE_SHUFFLED", 1.0)
    backwards = [
        strokes[0][:, 0].min() > strokes[-1][:, 0].max() for strokes, text in drawings(pens, 40) if len(text) > 1
    ]
    assert any(backwards)
    assert not all(backwards)


def test_validation_has_other_writers_than_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composer, "load_nondigits", lambda *_: Drawings([[np.zeros((2, 2))]], torch.tensor([10])))
    for load in (load_unipen_digits, load_pendigits):
        monkeypatch.setattr(composer, load.__name__, cache(load))
    training, validation = load_pens(ROOT), load_pens(ROOT, for_validation=True)
    assert len(training.unipen) > len(validation.unipen) > 0
    assert len(training.pendigits) > len(validation.pendigits) > 0
    known = {glyph[0].tobytes() for writer in training.pendigits for glyphs in writer.glyphs for glyph in glyphs}
    assert not any(g[0].tobytes() in known for writer in validation.pendigits for gs in writer.glyphs for g in gs)
    assert len(training.other) == len(validation.other) == len(OPEN_NONDIGITS)
