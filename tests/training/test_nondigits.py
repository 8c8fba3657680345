"""Synthetic non-digits: valid frames, and no digits among them."""

import numpy as np
import pytest
import torch

from recognition.strokes import draw
from testing.tiny_mnist import make_digits
from training.nondigits import (
    digit_rows,
    glyph,
    look_like_digits,
    make_drawings,
    marks,
    scribble,
    shape,
    sign,
    textures,
    turned_digits,
)


@pytest.fixture(scope="module")
def digits() -> torch.Tensor:
    return torch.from_numpy(make_digits(400, seed=5)[0])


@pytest.mark.parametrize("kind", [scribble, glyph, sign, shape, marks])
def test_each_kind_can_be_drawn(kind) -> None:
    rng = np.random.default_rng(2)
    for _ in range(60):
        frame = draw(kind(rng))
        assert np.isfinite(frame).all()
        assert frame.max() > 0.1


def test_same_seed_makes_the_same_drawings(digits: torch.Tensor) -> None:
    assert torch.equal(make_drawings(30, digits, 7), make_drawings(30, digits, 7))


def test_drawings_that_look_like_digits_are_recognized(digits: torch.Tensor) -> None:
    upright = draw([np.array([[0.0, 0.0], [0.0, 10.0]])])
    square = draw([np.array([[0.0, 0], [5, 0], [10, 0], [10, 5], [10, 10], [5, 10], [0, 10], [0, 5], [0, 0]])])
    drawings = torch.from_numpy(np.round(np.stack([upright, square]) * 255).astype(np.uint8))
    stems = drawings[:1].repeat(len(digits), 1, 1)
    known = torch.stack([digits, stems], dim=1).flatten(0, 1)
    assert look_like_digits(drawings, known).tolist() == [True, False]


def test_turned_digits_are_turned_and_at_most_count(digits: torch.Tensor) -> None:
    labels = torch.from_numpy(make_digits(400, seed=5)[1]).long()
    turned = turned_digits(90, digits, labels)
    assert 0 < len(turned) <= 90
    assert turned.dtype == torch.uint8
    known = {frame.numpy().tobytes() for frame in digits}
    assert not any(frame.numpy().tobytes() in known for frame in turned)


def test_digits_that_no_turn_changes_give_none(digits: torch.Tensor) -> None:
    assert turned_digits(10, digits, torch.zeros(len(digits), dtype=torch.long)).shape == (0, 28, 28)


def test_rows_of_digits_and_textures_are_valid_frames(digits: torch.Tensor) -> None:
    rows = digit_rows(digits[:30])
    assert rows.shape == (30, 28, 28)
    made = textures(25, torch.device("cpu"))
    assert made.shape == (25, 28, 28)
    assert made.min() >= 0
    assert made.max() <= 1
