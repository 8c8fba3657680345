"""Charts on the page about the model, as geometry; `templates/_charts.html` draws them as SVG in the page's colours.

Every function raises `ValueError` or `KeyError` if a table is not one that the trainer writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Rows: TypeAlias = Sequence[Mapping[str, str]]

_DIGITS = "0123456789"
_TICK_STEPS = tuple(step * 10**power for power in range(5) for step in (1, 2, 5))
_MAX_TICKS = 6
_CONFUSION_LEVELS = 5
_MAX_DOT_RADIUS = 9.0


@dataclass(frozen=True, slots=True)
class Tick:
    """A value written beside an axis, and its position in the units of the drawing."""

    position: float
    value: float


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values from `low` to `high` to positions from `start` to `end`; both values of a log axis are positive."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def position(self, value: float) -> float:
        """Position of a value, clamped to the axis."""
        value = min(max(value, self.low), self.high)
        low, high, value = map(math.log, (self.low, self.high, value)) if self.is_log else (self.low, self.high, value)
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self, values: Iterable[float]) -> list[Tick]:
        """A tick at each of the values within the axis."""
        return [Tick(self.position(value), value) for value in values if self.low <= value <= self.high]


@dataclass(frozen=True, slots=True)
class Area:
    """Size of a drawing, and the area within its axes."""

    width: int
    height: int
    left: int
    top: int
    right: int
    bottom: int


_CURVES_AREA = Area(320, 200, left=42, top=10, right=312, bottom=172)
_RELIABILITY_AREA = Area(320, 320, left=46, top=14, right=298, bottom=286)


@dataclass(frozen=True, slots=True)
class Curves:
    """A metric by epoch, in training and in validation."""

    area: Area
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    epochs: Sequence[int]
    training: Sequence[float]
    validation: Sequence[float]
    training_line: str  # points of an SVG polyline
    validation_line: str


def loss_curves(training: Rows, validation: Rows) -> Curves:
    """Loss in nats, on a logarithmic scale."""
    return _curves(training, validation, lambda row: float(row["loss"]))


def error_curves(training: Rows, validation: Rows) -> Curves:
    """Error rate in percent, on a logarithmic scale."""
    return _curves(training, validation, lambda row: round(100 * (1 - float(row["accuracy"])), 6))


def _curves(train_rows: Rows, val_rows: Rows, figure: Callable[[Mapping[str, str]], float]) -> Curves:
    epochs = [int(row["epoch"]) for row in val_rows]
    if not epochs or [int(row["epoch"]) for row in train_rows] != epochs:
        raise ValueError("the tables have different epochs")
    training, validation = [figure(row) for row in train_rows], [figure(row) for row in val_rows]
    area = _CURVES_AREA
    x = Axis(epochs[0], epochs[-1], area.left + 4, area.right - 4)
    y = _log_axis([*training, *validation], area.bottom, area.top)

    def line(values: Sequence[float]) -> str:
        return " ".join(f"{x.position(epoch)},{y.position(value)}" for epoch, value in zip(epochs, values, strict=True))

    return Curves(
        area,
        x.ticks(_epoch_ticks(epochs)),
        y.ticks(_log_ticks(y)),
        epochs,
        training,
        validation,
        line(training),
        line(validation),
    )


def _log_axis(values: Sequence[float], start: float, end: float) -> Axis:
    """A logarithmic axis for all values; those that are not positive are drawn at its lower end."""
    positive = [value for value in values if value > 0] or [0.1, 1.0]
    return Axis(min(positive) / 1.2, max(positive) * 1.2, start, end, is_log=True)


def _log_ticks(axis: Axis) -> list[float]:
    powers = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
    return [round(step * 10.0**power, 12) for power in powers for step in (1, 2, 5)]


def _epoch_ticks(epochs: Sequence[int]) -> range:
    first, last = epochs[0], epochs[-1]
    step = next((step for step in _TICK_STEPS if (last - first) / step <= _MAX_TICKS), _TICK_STEPS[-1])
    return range(math.ceil(first / step) * step, last + 1, step)


@dataclass(frozen=True, slots=True)
class Cell:
    """How often a digit was read as another, or as itself."""

    truth: int
    prediction: int
    n: int
    level: int  # shade, by the logarithm of n, so that single mistakes show beside hundreds: 0 for none, to 5


@dataclass(frozen=True, slots=True)
class Confusion:
    """The confusion matrix."""

    rows: Sequence[Sequence[Cell]]  # by true digit
    mistakes: Sequence[Cell]  # most common first
    n: int

    @property
    def errors(self) -> int:
        """Number of misread digits."""
        return sum(cell.n for cell in self.mistakes)


def confusion(table: Rows) -> Confusion:
    """The confusion matrix; the table has a row for each true digit and a column for each predicted one."""
    counts = [[int(row[digit]) for digit in _DIGITS] for row in table]
    if len(counts) != len(_DIGITS) or min(map(min, counts)) < 0:
        raise ValueError("the table does not have a row for each digit")
    largest = max(map(max, counts))
    rows = [[Cell(i, j, n, _level(n, largest)) for j, n in enumerate(row)] for i, row in enumerate(counts)]
    mistakes = [cell for row in rows for cell in row if cell.n and cell.truth != cell.prediction]
    return Confusion(rows, sorted(mistakes, key=lambda cell: -cell.n), sum(map(sum, counts)))


def _level(n: int, largest: int) -> int:
    if n == 0:
        return 0
    return 1 + round((_CONFUSION_LEVELS - 1) * math.log(n) / math.log(largest)) if largest > 1 else _CONFUSION_LEVELS


@dataclass(frozen=True, slots=True)
class Dot:
    """A bin of the reliability diagram: predictions with a confidence from `low` to `high`."""

    low: float
    high: float
    confidence: float  # mean
    accuracy: float
    n: int
    x: float
    y: float
    radius: float  # the dot's area grows with the logarithm of n


@dataclass(frozen=True, slots=True)
class Reliability:
    """The reliability diagram: accuracy by confidence. On the diagonal they are equal."""

    area: Area
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    dots: Sequence[Dot]
    n: int
    ece: float  # expected calibration error, 0 to 1


def reliability(table: Rows) -> Reliability:
    """The reliability diagram; the table has a row for each bin that is not empty."""
    area = _RELIABILITY_AREA
    x, y = Axis(0, 1, area.left, area.right), Axis(0, 1, area.bottom, area.top)
    ticks = [i / 5 for i in range(6)]
    largest = max(int(row["n"]) for row in table)
    dots = []
    for row in table:
        low, high, confidence, accuracy = (float(row[name]) for name in ("low", "high", "confidence", "accuracy"))
        n = int(row["n"])
        radius = round(_MAX_DOT_RADIUS * math.sqrt((1 + math.log(n)) / (1 + math.log(largest))), 2)
        dots.append(Dot(low, high, confidence, accuracy, n, x.position(confidence), y.position(accuracy), radius))
    total = sum(dot.n for dot in dots)
    ece = sum(dot.n * abs(dot.accuracy - dot.confidence) for dot in dots) / total
    return Reliability(area, x.ticks(ticks), y.ticks(ticks), dots, total, ece)
