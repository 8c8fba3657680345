"""Forms of digits that are drawn from control points."""

import numpy as np
import pytest

from training.numbers.rare_shapes import count_forms, draw_form


@pytest.mark.parametrize("label", range(10))
def test_forms_are_in_the_middle_of_a_frame_and_as_high_as_a_digit(label: int) -> None:
    rng = np.random.default_rng(label)
    for index in range(count_forms(label)):
        points = np.concatenate(draw_form(label, rng, index))
        assert points.min() > 0
        assert points.max() < 29
        assert 16 < np.ptp(points[:, 1]) < 26


def test_each_drawing_of_a_form_is_another() -> None:
    rng = np.random.default_rng(0)
    first, second = draw_form(1, rng, 0)[0], draw_form(1, rng, 0)[0]
    assert first.shape != second.shape or not np.allclose(first, second)


def test_seven_crossed_low_has_two_strokes() -> None:
    bar = draw_form(7, np.random.default_rng(0), 0)[1]
    assert np.ptp(bar[:, 0]) > 3 * np.ptp(bar[:, 1])
    assert bar[:, 1].mean() > 14
