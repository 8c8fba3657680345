"""Ruled lines are removed, strokes are kept."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from recognition.ink import Picture
from recognition.ruled_lines import remove_ruling
from testing.inks import assert_is_part, each_ink, random_inks


def ruled(ink: Picture, lean: float = 0.0, *, squared: bool = False) -> Picture:
    """The ink with lines of 2 px, which fall by `lean` pixels from left to right."""
    height, width = ink.shape
    lines = np.zeros((height, width), np.float32)
    for place in range(10, height, 40):
        cv2.line(lines, (0, place), (width, round(place + lean)), 0.8, 2)
        if squared:
            cv2.line(lines, (place, 0), (round(place - lean), height), 0.8, 2)
    return np.maximum(ink, lines)


@each_ink
def test_digit_on_plain_paper_loses_nothing(ink: Picture) -> None:
    assert remove_ruling(ink) is ink


@each_ink
@pytest.mark.parametrize("squared", [False, True], ids=["ruled", "squared"])
@pytest.mark.parametrize("lean", [0, 6], ids=["straight", "leaning"])
def test_digit_on_ruled_paper_is_left_alone(ink: Picture, lean: float, squared: bool) -> None:
    kept = remove_ruling(ruled(ink, lean, squared=squared))
    assert kept[ink > 0.9].mean() > 0.95
    assert kept[ink == 0].mean() < 0.03


@hypothesis_settings(max_examples=60)
@given(random_inks())
def test_no_ink_is_ever_added(ink: Picture) -> None:
    assert_is_part(remove_ruling(ink), ink)
