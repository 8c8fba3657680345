"""The reliability diagram: how often the network is right, by how sure it says it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from web.charts.axes import Axis, Tick
from web.record import Rows

WIDTH, HEIGHT = 320, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 298, 14, 286
_LARGEST_DOT = 9.0


@dataclass(frozen=True, slots=True)
class Dot:
    """Answers whose confidence is from `low` to `high`; all but the last four are from 0 to 1."""

    low: float
    high: float
    confidence: float  # their mean
    accuracy: float
    n: int
    x: float
    y: float
    radius: float  # its area grows with the logarithm of `n`


@dataclass(frozen=True, slots=True)
class Reliability:
    """A dot for each bin of confidence that holds any answers; on the diagonal, confidence is true."""

    dots: Sequence[Dot]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    frame: tuple[int, int, int, int] = (_LEFT, _TOP, _RIGHT, _BOTTOM)
    size: tuple[int, int] = (WIDTH, HEIGHT)

    @property
    def n(self) -> int:
        """Number of answers."""
        return sum(dot.n for dot in self.dots)

    @property
    def calibration_error(self) -> float:
        """Mean gap between confidence and accuracy, 0 to 1."""
        return sum(dot.n * abs(dot.accuracy - dot.confidence) for dot in self.dots) / self.n


def reliability(table: Rows) -> Reliability:
    """Raises `ValueError` or `KeyError` where the table is not the trainer's."""
    x, y = Axis(0, 1, _LEFT, _RIGHT), Axis(0, 1, _BOTTOM, _TOP)
    largest = max(int(row["n"]) for row in table)
    dots = []
    for row in table:
        low, high, confidence, accuracy = (float(row[name]) for name in ("low", "high", "confidence", "accuracy"))
        n = int(row["n"])
        radius = round(_LARGEST_DOT * math.sqrt((1 + math.log(n)) / (1 + math.log(largest))), 2)
        dots.append(Dot(low, high, confidence, accuracy, n, x.place(confidence), y.place(accuracy), radius))
    return Reliability(dots, x.ticks(5), y.ticks(5))
