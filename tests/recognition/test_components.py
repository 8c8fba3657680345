"""Separating the ink of the digit from everything else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from recognition.components import keep_digit, remove_lines
from recognition.ink import Picture
from testing.handwriting import DIGITS, EUROPEAN_7, HANDWRITINGS, Drawing
from testing.inks import assert_is_part, each_ink, ink_of, random_inks


@each_ink
def test_digit_alone_is_kept_whole(ink: Picture) -> None:
    np.testing.assert_array_equal(keep_digit(ink), ink)


@each_ink
def test_specks_are_dropped(ink: Picture) -> None:
    specked = ink.copy()
    for row, column in ((4, 20), (70, 135), (136, 100), (8, 130)):
        specked[row : row + 2, column : column + 2] = 1
    np.testing.assert_array_equal(keep_digit(specked), ink)


@each_ink
def test_neighbour_cut_off_by_the_border_is_dropped(ink: Picture) -> None:
    crowded = ink.copy()
    crowded[60:90, :4] = 1
    kept = keep_digit(crowded)
    assert not kept[60:90, :4].any()
    np.testing.assert_array_equal(kept[:, 8:], ink[:, 8:])


@each_ink
def test_neighbour_is_dropped_where_the_digit_reaches_the_border_too(ink: Picture) -> None:
    rows = np.flatnonzero((ink > 0).any(axis=1))
    cropped = ink[rows[0] : rows[-1] + 1].copy()
    crowded = cropped.copy()
    crowded[:6, :4] = 1
    np.testing.assert_array_equal(keep_digit(crowded, is_cropped=True)[:, 8:], cropped[:, 8:])
    assert not keep_digit(crowded, is_cropped=True)[:6, :4].any()


@pytest.mark.parametrize("drawing", [HANDWRITINGS[5][1], EUROPEAN_7], ids=["the roof of a 5", "the bar of a 7"])
def test_detached_stroke_is_kept(drawing: Drawing) -> None:
    apart = [[[x, y - 12 * index] for x, y in stroke] for index, stroke in enumerate(drawing)]
    ink = ink_of(apart)
    np.testing.assert_array_equal(keep_digit(ink), ink)


def test_printed_frame_is_not_a_digit() -> None:
    frame = np.zeros((100, 100), np.float32)
    frame[:3] = frame[-3:] = 1
    frame[:, :3] = frame[:, -3:] = 1
    assert not keep_digit(frame).any()


@each_ink
def test_digit_without_printed_lines_loses_nothing(ink: Picture) -> None:
    np.testing.assert_array_equal(remove_lines(ink), ink)


@pytest.mark.parametrize("turn", range(4), ids=["top", "left", "bottom", "right"])
def test_printed_line_along_the_border_is_removed(turn: int) -> None:
    ink = ink_of(DIGITS[3])
    ruled = np.rot90(ink, -turn).copy()
    ruled[5:8] = 1
    ruled = np.rot90(ruled, turn)
    unruled = remove_lines(np.ascontiguousarray(ruled))
    np.testing.assert_array_equal(unruled[20:-20, 20:-20], ink[20:-20, 20:-20])
    assert unruled.sum() < 1.02 * ink.sum()


@hypothesis_settings(max_examples=80)
@given(random_inks())
def test_no_ink_is_ever_added(ink: Picture) -> None:
    assert_is_part(keep_digit(ink), ink)
    assert_is_part(remove_lines(ink), ink)
