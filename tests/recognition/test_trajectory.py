"""The path of the pen, as the network for strokes sees it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model_file import N_PATH_FEATURES
from recognition.strokes import Stroke
from recognition.trajectory import order, to_trajectory
from testing.handwriting import DIGITS, write_row

X, Y, HEIGHT, PEN, LEFT = range(N_PATH_FEATURES)


def strokes_of(text: str) -> list[Stroke]:
    return [np.array(stroke, float) for stroke in write_row(text)]


def line(*points: tuple[float, float]) -> Stroke:
    return np.array(points, float)


def strokes_in(trajectory: NDArray[np.float32]) -> int:
    """How often the pen is put down."""
    return int((np.diff(trajectory[PEN], prepend=0) == 1).sum())


@pytest.mark.parametrize("scale", [1e-2, 1, 300])
def test_size_and_position_of_the_drawing_do_not_matter(scale: float) -> None:
    strokes = strokes_of("42")
    moved = [scale * stroke + np.array([-500 * scale, 900]) for stroke in strokes]
    assert to_trajectory(moved) == pytest.approx(to_trajectory(strokes), abs=1e-3)


def test_features_have_their_ranges() -> None:
    path = to_trajectory(strokes_of("4507"))
    assert path.dtype == np.float32
    assert len(path) == N_PATH_FEATURES
    assert np.abs(path[[X, Y]]).max() <= 1.5
    assert np.abs(path[HEIGHT]).max() <= 1.05  # the smoothed line may pass the outermost points
    assert set(np.unique(path[PEN])) == {0, 1}
    assert path[LEFT].min() >= 0
    assert path[LEFT].max() <= 2


def test_direction_tells_which_way_a_line_was_drawn() -> None:
    down, up = (to_trajectory([line((0, a), (0, b))]) for a, b in ((0, 100), (100, 0)))
    assert down[Y, 1:] == pytest.approx(1, abs=0.1)
    assert up[Y, 1:] == pytest.approx(-1, abs=0.1)


def test_moves_between_strokes_are_part_of_the_path() -> None:
    path = to_trajectory([line((0, 0), (0, 100)), line((100, 0), (100, 100))])
    assert strokes_in(path) == 2
    assert (path[PEN] == 0).sum() > 10
    assert path[X, path[PEN] == 0].min() > 0


def test_strokes_are_read_from_left_to_right_in_any_order() -> None:
    strokes = strokes_of("1713")
    assert to_trajectory(strokes[::-1]) == pytest.approx(to_trajectory(strokes))


def test_strokes_of_a_digit_keep_their_order() -> None:
    bar, stem = line((0, 50), (60, 50)), line((20, 0), (20, 100))
    assert [id(stroke) for stroke in order([bar, stem])] == [id(bar), id(stem)]
    assert [id(stroke) for stroke in order([stem, bar])] == [id(stem), id(bar)]


def test_bar_that_is_drawn_last_is_read_with_its_digit() -> None:
    seven, bar = line((0, 0), (50, 0), (20, 100)), line((10, 50), (40, 50))
    one = line((100, 0), (100, 100))
    assert [id(stroke) for stroke in order([seven, one, bar])] == [id(seven), id(bar), id(one)]


def test_dot_is_a_path() -> None:
    path = to_trajectory([line((5, 5))])
    assert path.shape[0] == N_PATH_FEATURES
    assert np.isfinite(path).all()


def test_points_of_a_scribble_are_farther_apart() -> None:
    rng = np.random.default_rng(0)
    path = to_trajectory([rng.uniform(0, 100, (10, 2)) * [50, 1] for _ in range(1_000)])
    assert 2_048 < path.shape[1] < 8_000  # at least two points a stroke, and the moves between them
    assert np.abs(path[[X, Y]]).max() <= 1.5


def test_single_digit_has_its_strokes() -> None:
    assert strokes_in(to_trajectory([np.array(stroke, float) for stroke in DIGITS[4]])) == len(DIGITS[4])
