"""The geometry of the charts: every value lies within its axes, and ticks are round."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.charts import Axis, Curves, confusion, error_curves, loss_curves, reliability

Table = list[dict[str, str]]


def test_values_lie_in_proportion() -> None:
    assert [Axis(0, 10, 100, 200).position(value) for value in (0, 5, 10)] == [100, 150, 200]
    assert [Axis(1, 100, 200, 100, is_log=True).position(value) for value in (1, 10, 100)] == [200, 150, 100]


def metrics(losses: list[float], first_epoch: int = 1) -> Table:
    """Rows as the trainer writes them, with as many epochs as losses."""
    return [
        {"epoch": str(epoch), "loss": repr(loss), "accuracy": repr(1 - min(loss, 1))}
        for epoch, loss in enumerate(losses, first_epoch)
    ]


def points(line: str) -> list[tuple[float, ...]]:
    return [tuple(map(float, point.split(","))) for point in line.split()]


def assert_within_axes(chart: Curves) -> None:
    area = chart.area
    for x, y in points(chart.training_line) + points(chart.validation_line):
        assert area.left <= x <= area.right
        assert area.top <= y <= area.bottom
    assert all(area.left <= tick.position <= area.right for tick in chart.x_ticks)
    assert all(area.top <= tick.position <= area.bottom for tick in chart.y_ticks)


@given(st.lists(st.one_of(st.just(0.0), st.floats(1e-9, 1e9)), min_size=1), st.integers(1, 10_000))
def test_curves_lie_within_their_axes(losses: list[float], first_epoch: int) -> None:
    table = metrics(losses, first_epoch)
    for chart in (loss_curves(table, table), error_curves(table, table)):
        assert len(points(chart.training_line)) == len(points(chart.validation_line)) == len(losses)
        assert len(chart.x_ticks) <= 7
        assert_within_axes(chart)


@pytest.mark.parametrize(
    ("losses", "epochs", "values"),
    [
        ([1.0, 0.07], [1, 2], [0.1, 0.2, 0.5, 1]),
        ([0.5] * 40, [10, 20, 30, 40], [0.5]),
        ([0.3], [1], []),
    ],
)
def test_ticks_are_round(losses: list[float], epochs: list[int], values: list[float]) -> None:
    chart = loss_curves(metrics(losses), metrics(losses))
    assert [tick.value for tick in chart.x_ticks] == epochs
    assert [tick.value for tick in chart.y_ticks] == values


def test_curves_of_different_trainings_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="different epochs"):
        loss_curves(metrics([0.9] * 3), metrics([0.9] * 2))


def test_confusion_is_shaded_by_its_logarithm_and_lists_mistakes() -> None:
    rows = [{str(j): "1000" if i == j else "0" for j in range(10)} for i in range(10)]
    rows[7]["1"], rows[3]["5"] = "30", "1"
    chart = confusion(rows)
    assert [(cell.truth, cell.prediction, cell.n, cell.level) for cell in chart.mistakes] == [
        (7, 1, 30, 3),
        (3, 5, 1, 1),
    ]
    assert chart.errors == 31
    assert chart.rows[7][7].level == 5
    assert chart.rows[0][1].level == 0


def test_calibration_error_weighs_the_bins_by_their_size() -> None:
    rows = [
        {"low": "0.4", "high": "0.5", "n": "10", "confidence": "0.45", "accuracy": "0.6"},
        {"low": "0.9", "high": "1", "n": "90", "confidence": "0.98", "accuracy": "0.97"},
    ]
    chart = reliability(rows)
    assert chart.ece == pytest.approx(0.1 * 0.15 + 0.9 * 0.01)
    assert chart.n == 100
    assert chart.dots[0].radius < chart.dots[1].radius
