"""Places and ticks on the charts' axes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.charts.axes import Axis, log_axis
from web.charts.confusion import confusion
from web.charts.curves import error_curves, loss_curves
from web.charts.reliability import reliability

VALUES = st.floats(1e-9, 1e9)


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(1, 40, 0, 100), [10, 20, 30, 40]),
        (Axis(0, 1, 0, 100), [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (Axis(3, 3, 0, 100), [3]),
        (Axis(0.04, 1.2, 0, 100, is_log=True), [0.05, 0.1, 0.2, 0.5, 1]),
    ],
)
def test_ticks_are_round_values(axis: Axis, ticks: list[float]) -> None:
    assert [tick.value for tick in axis.ticks()] == ticks


def test_values_lie_in_proportion() -> None:
    assert [Axis(0, 10, 100, 200).place(value) for value in (0, 5, 10)] == [100, 150, 200]
    assert [Axis(1, 100, 200, 100, is_log=True).place(value) for value in (1, 10, 100)] == [200, 150, 100]


@given(st.lists(VALUES, min_size=1), VALUES)
def test_every_value_is_drawn_within_the_axis(values: list[float], other: float) -> None:
    axis = log_axis(values, 10, 90)
    places = [axis.place(value) for value in [*values, other, 0, -1]]
    assert all(10 <= place <= 90 for place in places)
    assert all(10 <= tick.place <= 90 for tick in axis.ticks())


@given(VALUES, VALUES, st.integers(2, 9))
def test_even_ticks_are_few_and_on_the_axis(first: float, second: float, most: int) -> None:
    low, high = sorted([first, second])
    ticks = Axis(low, high, 0, 100).ticks(most)
    assert len(ticks) <= most + 1
    assert all(0 <= tick.place <= 100 for tick in ticks)


def epochs(n: int, accuracy: float) -> list[dict[str, str]]:
    return [{"epoch": str(i + 1), "loss": str(1 / (i + 1)), "accuracy": str(accuracy)} for i in range(n)]


@pytest.mark.parametrize("n", [1, 2, 40])
def test_curves_have_a_point_for_each_epoch(n: int) -> None:
    for chart in (loss_curves(epochs(n, 0.9), epochs(n, 1)), error_curves(epochs(n, 0.9), epochs(n, 1))):
        assert len(chart.training_line.split()) == len(chart.validation_line.split()) == n
        left, top, right, bottom = chart.frame
        points = [tuple(map(float, point.split(","))) for point in chart.training_line.split()]
        assert all(left <= x <= right and top <= y <= bottom for x, y in points)


def test_curves_of_different_trainings_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="different epochs"):
        loss_curves(epochs(3, 0.9), epochs(2, 0.9))


def test_confusion_is_shaded_by_its_logarithm_and_lists_mistakes() -> None:
    rows = [{str(j): "1000" if i == j else "0" for j in range(10)} for i in range(10)]
    rows[7]["1"], rows[3]["5"] = "30", "1"
    chart = confusion(rows)
    assert [(cell.truth, cell.answer, cell.n, cell.level) for cell in chart.mistakes] == [(7, 1, 30, 3), (3, 5, 1, 1)]
    assert chart.errors == 31
    assert chart.row(7)[7].level == 5
    assert chart.row(0)[1].level == 0


def test_reliability_adds_up_to_the_calibration_error() -> None:
    rows = [
        {"low": "0.4", "high": "0.5", "n": "10", "confidence": "0.45", "accuracy": "0.6"},
        {"low": "0.9", "high": "1", "n": "90", "confidence": "0.98", "accuracy": "0.97"},
    ]
    chart = reliability(rows)
    assert chart.calibration_error == pytest.approx(0.1 * 0.15 + 0.9 * 0.01)
    assert chart.n == 100
    assert chart.dots[0].radius < chart.dots[1].radius
