"""The confusion matrix: how often each digit was read as each digit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from web.record import Rows

_DIGITS = "0123456789"
# Cells are shaded in this many steps, by the logarithm of their number: single mistakes are seen beside hundreds.
_LEVELS = 5


@dataclass(frozen=True, slots=True)
class Cell:
    """How often the digit `truth` was read as `answer`."""

    truth: int
    answer: int
    n: int
    level: int  # 0 where that never happened, to 5


@dataclass(frozen=True, slots=True)
class Confusion:
    """All cells, row by row, and the commonest mistakes."""

    cells: Sequence[Cell]
    mistakes: Sequence[Cell]  # commonest first
    n: int

    @property
    def errors(self) -> int:
        """Number of digits that were misread."""
        return sum(cell.n for cell in self.mistakes)

    def row(self, truth: int) -> Sequence[Cell]:
        """What became of a digit."""
        return self.cells[10 * truth : 10 * truth + 10]


def confusion(table: Rows) -> Confusion:
    """Raises `ValueError` or `KeyError` where the table is not the trainer's."""
    counts = [[int(row[answer]) for answer in _DIGITS] for row in table]
    if len(counts) != len(_DIGITS) or min(map(min, counts)) < 0:
        raise ValueError("the table does not have a row for each digit")
    largest = max(map(max, counts))
    cells = [Cell(i, j, n, _level(n, largest)) for i, row in enumerate(counts) for j, n in enumerate(row)]
    mistakes = sorted((cell for cell in cells if cell.n and cell.truth != cell.answer), key=lambda cell: -cell.n)
    return Confusion(cells, mistakes, sum(map(sum, counts)))


def _level(n: int, largest: int) -> int:
    if n == 0:
        return 0
    return 1 + round((_LEVELS - 1) * math.log(n) / math.log(largest)) if largest > 1 else _LEVELS
