"""Strokes to frames, which depend on the shape only, not on position, size, sampling or direction."""

import math
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from config import Limits
from model_file import FRAME_SIZE
from recognition.errors import BlankInput, InvalidStrokes
from recognition.frame import INK_CENTRE, INK_SIZE, centre_of_mass
from recognition.strokes import draw, validate_strokes
from testing.handwriting import HANDWRITINGS, Drawing

LIMITS = Limits(_env_file=None)
Points = NDArray[np.float64]

DRAWINGS = {
    f"{digit}, hand {hand + 1}": [np.array(stroke, np.float64) for stroke in drawing]
    for digit, drawings in HANDWRITINGS.items()
    for hand, drawing in enumerate(drawings)
}
each_drawing = pytest.mark.parametrize("drawing", DRAWINGS.values(), ids=DRAWINGS)


def draw_valid(strokes: list[Points]) -> NDArray[np.float32]:
    """The frame of a drawing, checked for what holds for every frame."""
    frame = draw(strokes)
    assert (frame.shape, frame.dtype) == ((FRAME_SIZE, FRAME_SIZE), np.float32)
    assert np.isfinite(frame).all()
    assert 0 <= frame.min() <= frame.max() <= 1
    return frame


def draw_points(*strokes: list[list[float]]) -> NDArray[np.float32]:
    return draw_valid([np.array(stroke, np.float64) for stroke in strokes])


def turn_of_a_circle(n: int, radius: float = 50, turn: float = 2 * math.pi) -> Points:
    angles = np.linspace(0, turn, n)
    return radius * np.stack([np.sin(angles), -np.cos(angles)], axis=1)


# ---- what makes no difference ----


@each_drawing
@pytest.mark.parametrize("scale", [0.3, 0.5, 0.77, 1.5])
def test_moving_and_scaling_a_drawing_changes_nothing(drawing: list[Points], scale: float) -> None:
    frame = draw_valid(drawing)
    room = 280 - scale * 280
    for place in ((0.0, 0.0), (room, 0.0), (0.25 * room, 0.6 * room), (-31.4159, 271.828)):
        np.testing.assert_allclose(draw_valid([scale * stroke + place for stroke in drawing]), frame, atol=1e-3)


@given(
    drawing=st.sampled_from(list(DRAWINGS.values())),
    scale=st.floats(1e-3, 300),
    place=st.tuples(st.floats(-2e4, 2e4), st.floats(-2e4, 2e4)),
)
def test_unit_of_the_coordinates_makes_no_difference(
    drawing: list[Points], scale: float, place: tuple[float, float]
) -> None:
    moved = draw_valid([scale * stroke + place for stroke in drawing])
    # A coordinate that lies between two steps of the pen may be rounded the other way.
    np.testing.assert_allclose(moved, draw_valid(drawing), atol=0.02)


@each_drawing
def test_points_between_the_points_change_little(drawing: list[Points]) -> None:
    doubled = []
    for stroke in drawing:
        between = np.empty((2 * len(stroke) - 1, 2))
        between[::2] = stroke
        between[1::2] = (stroke[1:] + stroke[:-1]) / 2
        doubled.append(between)
    frame = draw_valid(drawing)
    assert np.abs(draw_valid(doubled) - frame).mean() < 0.005


@each_drawing
def test_half_of_the_points_is_enough(drawing: list[Points]) -> None:
    halved = [np.vstack([stroke[:-1:2], stroke[-1:]]) for stroke in drawing]
    assert np.abs(draw_valid(halved) - draw_valid(drawing)).mean() < 0.02


@each_drawing
def test_direction_and_order_of_strokes_change_nothing(drawing: list[Points]) -> None:
    reverse = [stroke[::-1] for stroke in reversed(drawing)]
    assert np.abs(draw_valid(reverse) - draw_valid(drawing)).max() < 0.1


@each_drawing
def test_pen_that_rests_changes_little(drawing: list[Points]) -> None:
    resting = [np.repeat(stroke, 3, axis=0) for stroke in drawing]
    np.testing.assert_array_equal(draw_valid(resting), draw_valid(drawing))


def test_curve_drawn_slowly_stays_a_curve() -> None:
    # 9,900 points along a quarter of a circle lie a thousandth of a frame's pixel apart.
    tail = np.array([[50.0, 350.0]])
    slow, fast = (np.vstack([turn_of_a_circle(n, turn=math.pi / 2), tail]) for n in (9_900, 60))
    np.testing.assert_allclose(draw_valid([slow]), draw_valid([fast]), atol=0.01)


def test_curve_of_few_points_is_no_polygon() -> None:
    coarse, fine = draw_valid([turn_of_a_circle(9)]), draw_valid([turn_of_a_circle(200)])
    assert np.abs(coarse - fine).mean() < 0.02


# ---- MNIST's geometry ----


@each_drawing
def test_ink_fits_and_has_its_mass_where_mnist_has_it(drawing: list[Points]) -> None:
    frame = draw_valid(drawing)
    rows, columns = np.nonzero(frame > 0.2)
    # The frame's pixels may cut the rims on both sides, and a curve leaves the box of its points a little.
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(INK_SIZE, abs=2)
    assert centre_of_mass(frame) == pytest.approx([INK_CENTRE, INK_CENTRE], abs=0.1)


@pytest.mark.parametrize("end", [[100, 0], [0, 100]], ids=["across", "down"])
def test_straight_line_has_the_width_of_a_pen(end: list[float]) -> None:
    frame = draw_points([[0, 0], end])
    assert frame.sum() / INK_SIZE == pytest.approx(2.4, abs=0.3)


@pytest.mark.parametrize(
    "strokes",
    [[[[7, 9]]], [[[7, 9]] * 50], [[[7, 9]], [[7, 9]]], [[[1e5, -1e5], [1e5, -1e5]]]],
    ids=["a point", "a point again and again", "two points in one place", "a point far away"],
)
def test_tap_is_a_round_dot_where_mnist_has_its_mass(strokes: list[list[list[float]]]) -> None:
    frame = draw_points(*strokes)
    assert frame[14, 14] > 0.95
    assert frame[13:16, 13:16].sum() > 0.95 * frame.sum()
    np.testing.assert_allclose(frame, frame.T, atol=0.05)
    np.testing.assert_allclose(frame[1:, 1:], frame[1:, 1:][::-1, ::-1], atol=0.05)


@pytest.mark.parametrize(
    "strokes",
    [
        [[[0, 0], [100, 0], [0, 0], [100, 0]]],
        [[[0, 0], [1e-5, 0], [100, 0], [100, 1e-5], [0, 100]]],
        [[[0, 0], [0, 1e-4], [0, 0], [0, 1e-4]]],
        [[[-1e5, -1e5]], [[1e5, 1e5]]],
        [[[-1e5, -1e5], [1e5, 1e5], [-1e5, 1e5]]],
    ],
    ids=["back and forth", "points nearly in one place", "a tremor", "two far dots", "the largest drawing"],
)
def test_odd_drawings_are_drawn(strokes: list[list[list[float]]]) -> None:
    assert draw_points(*strokes).max() > 0.8


coordinates = st.floats(-1e5, 1e5) | st.integers(-300, 300).map(float) | st.floats(-1e-6, 1e-6)
points = st.tuples(coordinates, coordinates)
drawings = st.lists(st.lists(points, min_size=1, max_size=40), min_size=1, max_size=8)


@hypothesis_settings(max_examples=100)
@given(drawings)
def test_any_drawing_gives_a_frame_with_ink(strokes: list[list[tuple[float, float]]]) -> None:
    frame = draw_valid([np.array(stroke) for stroke in strokes])
    assert frame.max() > 0.3


# ---- validation ----


def validate(strokes: object) -> list[Points]:
    return validate_strokes(strokes, LIMITS)


def test_valid_strokes_are_arrays_of_points() -> None:
    first, second = validate([[[1, 2.5]], [], [[3, 4], [-1e5, 1e5]]])
    assert first.tolist() == [[1, 2.5]]
    assert second.tolist() == [[3, 4], [-1e5, 1e5]]
    assert first.dtype == np.float64


@pytest.mark.parametrize("strokes", [[], [[]], [[], [], []]], ids=["no strokes", "no points", "no points at all"])
def test_drawing_without_points_is_blank(strokes: Drawing) -> None:
    with pytest.raises(BlankInput):
        validate(strokes)


HUGE = 10**400
MALFORMED: dict[str, tuple[Any, str]] = {
    "nothing": (None, ""),
    "text": ("[[1, 2]]", ""),
    "an object": ({"strokes": []}, ""),
    "a number": (7, ""),
    "an object for a stroke": ([{"x": 1}], "/0"),
    "a number for a stroke": ([[[1, 2]], 3], "/1"),
    "text for a stroke": (["12"], "/0"),
    "a number for a point": ([[1, 2]], "/0/0"),
    "text for a point": ([["12"]], "/0/0"),
    "an object for a point": ([[{"x": 1, "y": 2}]], "/0/0"),
    "a point of one number": ([[[1, 2], [1]]], "/0/1"),
    "a point of three numbers": ([[[1, 2, 3]]], "/0/0"),
    "an empty point": ([[[]]], "/0/0"),
    "text for a number": ([[[1, "2"]]], "/0/0"),
    "a truth for a number": ([[[1, True]]], "/0/0"),
    "nothing for a number": ([[[None, 1]]], "/0/0"),
    "a list for a number": ([[[[1], 2]]], "/0/0"),
    "NaN": ([[], [[1, math.nan]]], "/1/0"),
    "infinity": ([[[-math.inf, 0]]], "/0/0"),
    "a number of 400 digits": ([[[0, 0], [HUGE, 0]]], "/0/1"),
    "a negative number of 400 digits": ([[[0, -HUGE]]], "/0/0"),
    "a number just too large": ([[[math.nextafter(1e5, 2e5), 0]]], "/0/0"),
    "too many strokes": ([[[1, 2]]] * 501, ""),
    "too many empty strokes": ([[]] * 501, ""),
    "too many points": ([[[1, 2]] * 5000, [[1, 2]] * 5001], ""),
}


@pytest.mark.parametrize(("strokes", "pointer"), MALFORMED.values(), ids=MALFORMED)
def test_invalid_strokes_are_refused_with_a_pointer(strokes: object, pointer: str) -> None:
    with pytest.raises(InvalidStrokes) as caught:
        validate(strokes)
    assert caught.value.pointer == pointer
    assert str(caught.value).endswith(".")


def test_limits_are_settings() -> None:
    limits = Limits(_env_file=None, max_strokes=2, max_points=3, max_coordinate=10)
    assert len(validate_strokes([[[0, 10]], [[-10, 0], [1, 1]]], limits)) == 2
    for strokes in ([[[0, 0]]] * 3, [[[0, 0]] * 4], [[[11, 0]]]):
        with pytest.raises(InvalidStrokes, match=r"at most 2|at most 3|within ±10"):
            validate_strokes(strokes, limits)


numbers = st.integers() | st.just(HUGE) | st.just(-HUGE) | st.floats() | st.booleans()
scalars = st.none() | numbers | st.text(max_size=3)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
)
nearly_strokes = st.lists(st.lists(st.lists(numbers | st.integers(-9, 9), min_size=2, max_size=2) | json_values))


@hypothesis_settings(max_examples=150)
@given(json_values | nearly_strokes)
def test_any_json_is_a_drawing_or_refused(value: object) -> None:
    with suppress(InvalidStrokes, BlankInput):
        draw_valid(validate(value))


@pytest.mark.parametrize("n_strokes", [1, 500])
def test_cost_of_a_scribble_is_bounded(n_strokes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def polylines(_canvas: object, lines: list[np.ndarray], *_: object) -> None:
        drawn.append(sum(map(len, lines)))

    monkeypatch.setattr("recognition.strokes.cv2.polylines", polylines)
    zigzag = np.array([[10.0 * (i % 2), i % 7] for i in range(10_000)])
    draw(np.split(zigzag, n_strokes))
    assert drawn[0] < 60_000
