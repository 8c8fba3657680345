"""Finding ink on paper of any shade, in any light."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recognition.errors import BlankInput
from recognition.ink import MIN_CONTRAST, Picture, find_ink

CROSS = np.zeros((60, 80), np.float32)
CROSS[10:50, 36:44] = 1
CROSS[26:34, 15:65] = 1


def amount_of(picture: Picture) -> Picture:
    """The ink on a picture, in its valid range."""
    amount = find_ink(picture.astype(np.float32)).amount
    assert (amount.shape, amount.dtype) == (picture.shape, np.float32)
    assert np.isfinite(amount).all()
    assert 0 <= amount.min() <= amount.max() <= 1
    return amount


@pytest.mark.parametrize(("paper", "ink"), [(0, 1), (0.2, 0.9), (0.5, 0.6), (1, 0), (0.9, 0.4), (0.3, 0.1)], ids=str)
def test_ink_of_any_shade_on_even_paper_is_full_ink(paper: float, ink: float) -> None:
    np.testing.assert_allclose(amount_of(paper + (ink - paper) * CROSS), CROSS, atol=0.05)


def test_greys_of_a_clean_picture_are_kept() -> None:
    shaded = CROSS * np.linspace(0.4, 1, 80, dtype=np.float32)
    np.testing.assert_allclose(amount_of(shaded), shaded / shaded.max(), atol=0.02)


@pytest.mark.parametrize("sign", [1, -1], ids=["dark ink", "light ink"])
@pytest.mark.parametrize("seed", range(3))
def test_ink_is_found_in_uneven_light_and_grain(sign: int, seed: int) -> None:
    light = np.linspace(0.35, 0.65, 80) + np.random.default_rng(seed).normal(0, 0.01, CROSS.shape)
    amount = amount_of(light + sign * 0.3 * CROSS)
    assert amount[CROSS == 1].mean() > 0.9
    assert amount[CROSS == 0].mean() < 0.1


@pytest.mark.parametrize("grain", [0, 0.02])
def test_ink_and_paper_are_ambiguous_where_both_are_equally_large(grain: float) -> None:
    noise = np.random.default_rng(0).normal(0, grain, CROSS.shape)
    cropped = np.s_[18:42, 22:58]
    assert not find_ink((0.1 + 0.8 * CROSS + noise).astype(np.float32)).is_ambiguous
    assert find_ink((0.1 + 0.8 * CROSS + noise)[cropped].astype(np.float32)).is_ambiguous


@pytest.mark.parametrize(
    "light", [np.linspace(0.1, 0.5, 80), np.where(np.arange(80) < 40, 0.1, 0.5)], ids=["slope", "edge"]
)
def test_shadow_on_half_of_the_paper_is_not_ambiguous(light: Picture) -> None:
    picture = np.kron(light + 0.3 * CROSS, np.ones((3, 3))) + np.random.default_rng(0).normal(0, 0.01, (180, 240))
    assert not find_ink(picture.astype(np.float32)).is_ambiguous


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (90, 1), (30, 40)], ids=str)
@pytest.mark.parametrize("value", [0, 0.123, 0.5, 1])
def test_even_paper_is_blank(size: tuple[int, int], value: float) -> None:
    with pytest.raises(BlankInput):
        find_ink(np.full(size, value, np.float32))


def test_contrast_below_the_minimum_is_blank() -> None:
    assert amount_of(0.5 + 1.2 * MIN_CONTRAST * CROSS).any()
    with pytest.raises(BlankInput):
        find_ink(0.5 + np.float32(0.8 * MIN_CONTRAST) * CROSS)


@hypothesis_settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), size=st.tuples(st.integers(1, 90), st.integers(1, 90)), levels=st.integers(1, 9))
def test_any_picture_has_ink_or_is_blank(seed: int, size: tuple[int, int], levels: int) -> None:
    picture = np.random.default_rng(seed).integers(0, levels, size) / max(1, levels - 1)
    try:
        amount = amount_of(picture.astype(np.float32))
    except BlankInput:
        return
    assert amount.max() > 0.9
