"""Interfaces of a line of a drawing or picture: its strip, and the pieces of its ink from left to right.

A piece is a stroke or a connected component, or a part of one that was cut between two digits. A digit is one or
several neighbouring pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recognition.frame import Frame, Region
from recognition.numbers.strips import Strip

Array = NDArray[np.float64]
Box = tuple[float, float, float, float]  # left, top, width and height, in units of the drawing or pixels of the picture


class Pieces(Protocol):
    """The pieces of a line, in the order of their middles."""

    @property
    def boxes(self) -> Array:
        """Left, top, right and bottom of each, `[N, 4]`."""

    @property
    def sources(self) -> NDArray[np.int64]:
        """Which stroke or component each is, or was cut from, `[N]`."""

    def frame(self, first: int, end: int) -> tuple[Frame, Region]:
        """The frame of the pieces `first` to `end - 1`, and its region. Raises `BlankInput`."""

    def weigh(self, log_p: Array, first: int, end: int) -> Array:
        """The log-probabilities `[10]` that these are a digit, by their frame, adjusted for how they were found."""


class InkLine(Protocol):
    """A line to read."""

    @property
    def strip(self) -> Strip:
        """What the number reader's network sees."""

    def pieces(self, cuts: Sequence[float]) -> Pieces:
        """The pieces of the line whose digits are parted at `cuts`, in columns of the strip."""

    def box(self, start: float, end: float) -> Box:
        """The box of the columns `start` to `end` of the strip, clipped to the line."""
