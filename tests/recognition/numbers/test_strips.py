"""The normalization of a line of writing."""

import numpy as np
import pytest

from model_file import STRIP_HEIGHT
from recognition.ink import Picture
from recognition.numbers.strips import MAX_WIDTH, MIN_WIDTH, to_strip


def picture() -> Picture:
    drawn = np.zeros((64, 200), np.float32)
    drawn[10:54, 40:48] = 0.8
    return drawn


def test_paper_is_zero_and_the_darkest_ink_one() -> None:
    strip = to_strip(picture())
    assert strip.shape == (STRIP_HEIGHT, 100)
    assert float(np.median(strip)) == 0
    assert 1 <= strip.max() <= 1.3


@pytest.mark.parametrize(("light", "contrast"), [(0.3, 0.3), (0.0, 0.9), (0.5, 0.1)])
def test_strip_does_not_depend_on_light(light: float, contrast: float) -> None:
    lit = np.float32(light) + np.float32(contrast) * picture()
    assert to_strip(lit) == pytest.approx(to_strip(picture()), abs=1e-3)


def test_faint_grain_is_not_amplified_to_ink() -> None:
    grain = 0.8 + 0.002 * np.random.default_rng(0).normal(size=(64, 200)).astype(np.float32)
    assert np.abs(to_strip(grain)).max() < 0.3


def test_width_is_bounded() -> None:
    assert to_strip(np.ones((500, 3), np.float32)).shape[1] == MIN_WIDTH
    assert to_strip(np.ones((3, 9_000), np.float32)).shape[1] == MAX_WIDTH
