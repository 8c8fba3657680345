"""Ink of drawings, and random ink."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import strategies as st

from recognition.ink import Picture
from testing.handwriting import HANDWRITINGS, Drawing


def ink_of(drawing: Drawing) -> Picture:
    """A drawing as ink `[140, 140]`, anti-aliased."""
    ink = np.zeros((280, 280), np.uint8)
    lines = [np.array(stroke, np.int32) for stroke in drawing]
    cv2.polylines(ink, lines, False, 255, 18, cv2.LINE_AA)
    small: Picture = cv2.resize(ink, (140, 140), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return small


INKS = {
    f"{digit}, hand {hand + 1}": ink_of(drawing)
    for digit, drawings in HANDWRITINGS.items()
    for hand, drawing in enumerate(drawings)
}
each_ink = pytest.mark.parametrize("ink", INKS.values(), ids=INKS)


@st.composite
def random_inks(draw: st.DrawFn) -> Picture:
    """Any share of the pixels inked, in black or in any shade."""
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    is_ink = chance.random(size) < draw(st.floats(0, 1))
    shades = chance.random(size) if draw(st.booleans()) else 1
    return (is_ink * shades).astype(np.float32)


def assert_is_part(part: Picture, ink: Picture) -> None:
    """No ink was added, or changed its shade."""
    assert part.shape == ink.shape
    assert part.dtype == np.dtype(np.float32)
    assert ((part == ink) | (part == 0)).all()
