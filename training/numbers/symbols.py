"""The points, dashes, signs and flourishes that people write beside numbers, which are no part of the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

DIGIT = 40  # height of a digit in pixels of the picture, before it is scaled to a strip

Ink = NDArray[np.uint8]  # [H, W], 255 = full ink


@dataclass(frozen=True, slots=True)
class Pen:
    """What one number is written with."""

    width: float  # pixels of the picture
    size: float  # of a digit, relative to `DIGIT`


def draw_line(canvas: Ink, points: NDArray[np.float64], width: float) -> None:
    """Draw the line through `points`, in pixels of the picture."""
    fixed = np.round((np.vstack([points, points[-1:]]) - 0.5) * 256).astype(np.int32)
    cv2.polylines(canvas, [fixed], False, 255, max(1, round(width)), cv2.LINE_AA, 8)


def write_point(canvas: Ink, x: float, base: float, pen: Pen, rng: Generator) -> float:
    """A point or comma between groups of digits; returns where the next digit may begin."""
    x += DIGIT * rng.uniform(0.02, 0.25)
    y = base - pen.width / 2 + DIGIT * rng.normal(0.02, 0.05)
    length = DIGIT * (rng.uniform(0, 0.05) if rng.random() < 0.6 else rng.uniform(0.1, 0.45))
    slant = rng.uniform(-0.8, 0.2)
    points = np.array([[x, y], [x + slant * length / 2, y + length / 2], [x + slant * length, y + length]])
    draw_line(canvas, points, pen.width * rng.uniform(1, 1.5))
    return x + pen.width + DIGIT * rng.uniform(0, 0.12)


def write_ligatures(canvas: Ink, ends: Sequence[tuple[int, int, int]], base: float, pen: Pen, rng: Generator) -> None:
    """Thin strokes that join some digits to the next."""
    for (_, right, _), (left, _, top) in pairwise(ends):
        if rng.random() < 0.5 and left - right < 0.5 * DIGIT:
            # A low digit of a sloping number may begin below the base line.
            y0, y1 = base - 0.7 * (base - top) * rng.random(2)
            start, end = (right - 0.15 * DIGIT, y0), (left + 0.15 * DIGIT, y1)
            sag = rng.normal(0, 0.15) * DIGIT
            t = np.linspace(0, 1, 8)[:, None]
            line = np.array(start) * (1 - t) + np.array(end) * t + np.hstack([0 * t, sag * np.sin(np.pi * t)])
            draw_line(canvas, line, pen.width * rng.uniform(0.5, 1))


def write_tail(canvas: Ink, x: float, base: float, pen: Pen, rng: Generator) -> None:
    """What ends an amount, so that nothing can be added: dashes, points, equals signs, a flourish."""
    kind = rng.choice(["", "-", ".", ",-", ".-", "=", "/", "//", "~", "#", "*"], p=_TAILS)
    for sign in kind:
        x = write_sign(canvas, sign, x + DIGIT * rng.uniform(0.02, 0.3), base, pen, rng)


_TAILS = [0.44, 0.13, 0.1, 0.06, 0.06, 0.07, 0.03, 0.01, 0.04, 0.04, 0.02]


def write_sign(canvas: Ink, sign: str, x: float, base: float, pen: Pen, rng: Generator) -> float:
    """A sign right of `x`; returns its right end."""
    if sign in ".,":
        return write_point(canvas, x, base, pen, rng)
    size = DIGIT * rng.uniform(0.3, 0.9)
    x += pen.width / 2
    middle = base - DIGIT * rng.uniform(0.2, 0.6)
    slope = rng.normal(0, 0.12)
    bar = np.array([[0, 0], [0.5, rng.normal(0, 0.05)], [1, slope]])
    up, down = np.array([0, -0.17]), np.array([0, 0.17])
    t = np.linspace(0, 1.2, 20)
    shapes: dict[str, list[NDArray[np.float64]]] = {
        "-": [bar],
        "=": [bar + up, bar + down],
        "/": [np.array([[0, 0.9], [0.5, -0.9]])],
        "~": [np.stack([t, 0.12 * np.sin(t * rng.uniform(5, 14))], axis=1)],
        "#": [bar + up, bar + down, np.array([[0.2, 0.5], [0.4, -0.5]]), np.array([[0.6, 0.5], [0.8, -0.5]])],
        "*": [np.array([[0, 0], [0.6, 0]]), np.array([[0.1, -0.3], [0.5, 0.3]]), np.array([[0.5, -0.3], [0.1, 0.3]])],
        "(": [np.array([[0.3, -0.9], [0.05, -0.3], [0.05, 0.3], [0.3, 0.9]])],
        "$": [_DOLLAR, np.array([[0.3, -1.0], [0.3, 1.0]])],
    }
    lines = [line * size + [x, middle] for line in shapes[sign]]
    for line in lines:
        draw_line(canvas, line, pen.width)
    return float(max(line[:, 0].max() for line in lines)) + pen.width / 2


_DOLLAR = np.array([[0.6, -0.6], [0.3, -0.8], [0, -0.5], [0.3, 0], [0.6, 0.5], [0.3, 0.8], [0, 0.6]])
