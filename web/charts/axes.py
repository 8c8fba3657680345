"""Axes: values to places in a drawing, and which values are written beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Steps between ticks that people count in.
_STEPS = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Tick:
    """A value that is written beside an axis."""

    place: float  # in the drawing's units
    value: float


@dataclass(frozen=True, slots=True)
class Axis:
    """Values from `low` to `high`, drawn from `start` to `end`; logarithmic ones are above nought."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Where a value is drawn, in the drawing's units; values beyond the axis at its end."""
        low, high, value = (math.log(v) if self.is_log else v for v in (self.low, self.high, self._within(value)))
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self, most: int = 6) -> list[Tick]:
        """Round values on the axis, `most` of them if it is not logarithmic."""
        values = self._log_ticks() if self.is_log else self._even_ticks(most)
        return [Tick(self.place(value), value) for value in values]

    def _within(self, value: float) -> float:
        return min(max(value, self.low), self.high)

    def _even_ticks(self, most: int) -> list[float]:
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        power = 10.0 ** math.floor(math.log10(span / most))
        step = next(step * power for step in _STEPS if span / (step * power) <= most)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(index * step, 12) for index in range(first, last + 1)]

    def _log_ticks(self) -> list[float]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = [round(step * 10.0**power, 12) for power in powers for step in _STEPS[:3]]
        return [value for value in values if self.low <= value <= self.high]


def log_axis(values: list[float], start: float, end: float) -> Axis:
    """A logarithmic axis on which all of `values` have room; those that are not above nought get its lower end."""
    positive = [value for value in values if value > 0]
    low, high = (min(positive), max(positive)) if positive else (0.1, 1.0)
    return Axis(low / 1.2, high * 1.2, start, end, is_log=True)
