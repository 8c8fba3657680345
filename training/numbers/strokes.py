"""Composed numbers as pen strokes, on which the network for strokes is trained.

    pens = load_pens(data_dir)
    strokes, symbols = compose_drawing(pens, np.random.default_rng(0))     # in heights of a digit, y down

The digits are pen digits of one writer of `data/open`, apart, touching or joined. Signs beside them, and letters and
doodles in their place, are `?` in the symbols.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from recognition.ctc import OTHER_SYMBOL
from recognition.strokes import Stroke, trace
from training.datasets.open import OPEN_NONDIGITS, load_nondigits, load_pendigits, load_unipen_digits
from training.nondigits import marks, scribble, shape
from training.numbers.compose import choose_odd_forms, choose_text
from training.numbers.rare_shapes import draw_form
from training.numbers.writers import Writer, group_by_writer

Array = NDArray[np.float64]
Glyph = Sequence[Stroke]

_SHARE_UNIPEN = 0.6  # of the numbers; the others are by the writers of pendigits
_SHARE_OTHER = 0.22  # of the samples, which are letters, signs, doodles or scribbles
_SHARE_SCRIBBLED = 0.15  # of these
_SHARE_ODD = 0.6  # of the numbers that may have digits of odd forms
_SHARE_SIGNS = 0.3  # of the numbers, with signs between or after the digits
_SHARE_APART = 0.55  # of the numbers; the others have digits that touch or overlap
# Shares of the numbers with joined digits, in random order, with last strokes drawn at the end, with reversed strokes.
_SHARE_JOINED, _SHARE_SHUFFLED, _SHARE_LATE, _SHARE_BACKWARDS = 0.12, 0.05, 0.08, 0.02
_LOG_GAPS = np.log([0.1, 1.8])  # heights of a digit between digits that are apart
_LEAST_ASPECT = 0.35  # of what is drawn lower, such as a dash: it is not scaled to the height of a digit


@dataclass(frozen=True, slots=True)
class Pens:
    """Digits and other ink by many writers, as strokes."""

    unipen: list[Writer]
    pendigits: list[Writer]
    other: list[list[Glyph]]  # letters, signs and doodles, by writer


def load_pens(root: Path, *, for_validation: bool = False) -> Pens:
    """The training or validation drawings of the open sets; other ink is for both. Raises `DataError`."""
    other: dict[str, list[Glyph]] = defaultdict(list)
    for name in OPEN_NONDIGITS.values():
        drawings = load_nondigits(name, root)
        for lines, writer in zip(drawings.lines, drawings.writers or [name] * len(drawings), strict=True):
            other[writer].append(lines)
    return Pens(
        group_by_writer(load_unipen_digits(root), for_validation),
        group_by_writer(load_pendigits(root), for_validation),
        list(other.values()),
    )


def compose_drawing(pens: Pens, rng: Generator, *, with_odd_forms: bool = True) -> tuple[list[Stroke], str]:
    """The strokes of a number or of other ink, and its symbols from left to right."""
    if rng.random() < _SHARE_OTHER:
        return _compose_other(pens.other, rng)
    writers = pens.unipen if rng.random() < _SHARE_UNIPEN else pens.pendigits
    writer = writers[int(rng.integers(len(writers)))]
    odd = choose_odd_forms(rng) if with_odd_forms and rng.random() < _SHARE_ODD else {}
    has_signs = rng.random() < _SHARE_SIGNS
    row = _Row(rng)
    for index, label in enumerate(map(int, choose_text(rng))):
        if has_signs and index and rng.random() < 0.35:
            row.add_sign()
        pen_digits = cast(Sequence[Glyph], writer.glyphs[label])  # drawings, not frames
        row.add(draw_form(label, rng, odd[label]) if label in odd else _choose(pen_digits, rng), str(label))
    if has_signs and rng.random() < 0.4:
        for _ in range(rng.integers(1, 3)):
            row.add_sign()
    return row.finish()


def _compose_other(groups: Sequence[Sequence[Glyph]], rng: Generator) -> tuple[list[Stroke], str]:
    """One to five letters, signs or doodles by one writer, or one scribble."""
    row = _Row(rng)
    if rng.random() < _SHARE_SCRIBBLED:
        scribbled = (scribble, scribble, shape, marks)[rng.integers(4)]
        row.add(trace([np.array(stroke, float) for stroke in scribbled(rng)]), OTHER_SYMBOL)
        return row.finish()
    glyphs = groups[int(rng.integers(len(groups)))]
    for _ in range(int(rng.choice([1, 2, 3, 4, 5], p=[0.55, 0.2, 0.1, 0.08, 0.07]))):
        row.add(_choose(glyphs, rng), OTHER_SYMBOL)
    return row.finish()


def _choose(glyphs: Sequence[Glyph], rng: Generator) -> Glyph:
    return glyphs[int(rng.integers(len(glyphs)))]


class _Row:
    """A row of digits and signs that grows to the right."""

    def __init__(self, rng: Generator) -> None:
        self._rng = rng
        is_apart = rng.random() < _SHARE_APART
        # Mean and spread of the gaps, in heights of a digit.
        self._gaps = (np.exp(rng.uniform(*_LOG_GAPS)), 0.08) if is_apart else (rng.uniform(-0.16, 0.08), 0.06)
        self._unsteadiness = rng.uniform(0, 0.06)
        self._right, self._last_width = 0.0, 0.0
        self._after_sign = False
        self._glyphs: list[list[Stroke]] = []
        self._symbols = ""

    def add(self, glyph: Glyph, symbol: str) -> None:
        """Write a digit or other ink as if once more."""
        strokes = _vary(glyph, self._rng)
        width = float(np.concatenate(strokes)[:, 0].max())
        gap = self._rng.uniform(0.03, 0.4) if self._after_sign else self._rng.normal(*self._gaps)
        # A digit must not vanish behind a broader one.
        left = self._right + max(gap, -0.35 * min(width, self._last_width)) if self._glyphs else 0.0
        self._append(strokes, left, self._rng.normal(0, self._unsteadiness), width, symbol)
        self._after_sign = False

    def add_sign(self) -> None:
        """Write a sign."""
        strokes = _draw_sign(self._rng)
        width = float(np.concatenate(strokes)[:, 0].max())
        self._append(strokes, self._right + self._rng.uniform(0.05, 0.35), 0.0, width, OTHER_SYMBOL)
        self._after_sign = True

    def _append(self, strokes: Sequence[Stroke], left: float, up: float, width: float, symbol: str) -> None:
        self._glyphs.append([stroke + np.array([left, up]) for stroke in strokes])
        self._symbols += symbol
        self._right, self._last_width = left + width, width

    def finish(self) -> tuple[list[Stroke], str]:
        """All strokes in the order in which they are written, whose slant they share; and the symbols."""
        rng, glyphs = self._rng, self._glyphs
        if rng.random() < _SHARE_SHUFFLED:
            glyphs = [glyphs[i] for i in rng.permutation(len(glyphs))]
        is_joined, has_late = rng.random() < _SHARE_JOINED, rng.random() < _SHARE_LATE
        strokes: list[Stroke] = []
        late: list[Stroke] = []
        for glyph in glyphs:
            first, *rest = glyph
            if is_joined and strokes and rng.random() < 0.5 and first[0, 0] - strokes[-1][-1, 0] < 0.8:
                strokes[-1] = _join(strokes[-1], first, rng)
            else:
                strokes.append(first)
            if has_late and rest and rng.random() < 0.5:
                late.append(rest.pop())
            strokes += rest
        strokes += late
        if rng.random() < _SHARE_BACKWARDS:
            strokes = [stroke[::-1] if rng.random() < 0.5 else stroke for stroke in strokes]
        slant, tilt, stretch = rng.normal(0, 0.12), rng.normal(0, 0.03), np.exp(rng.normal(0, 0.1))
        shear = np.array([[stretch, tilt], [-slant, 1.0]])
        return [stroke @ shear for stroke in strokes], self._symbols


def _join(before: Stroke, after: Stroke, rng: Generator) -> Stroke:
    """Both strokes as one, with a bent ligature between them."""
    start, end = before[-1], after[0]
    t = np.linspace(0, 1, 6)[1:-1, None]
    ligature = start + t * (end - start) + rng.normal(0, 0.1, 2) * np.sin(np.pi * t)
    return np.concatenate([before, ligature, after])


def _vary(glyph: Glyph, rng: Generator) -> list[Stroke]:
    """The strokes of a glyph as if written once more, about 1 high, from x = 0 to the base line at y = 1."""
    points = np.concatenate(glyph)
    ends = np.cumsum([len(stroke) for stroke in glyph])[:-1]
    points = (points - points.min(axis=0)) / _height(points)
    angle, slant, aspect = rng.normal(0, [0.06, 0.1, 0.1]).clip(-0.3, 0.3)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = points @ turn @ np.array([[np.exp(aspect), 0], [slant, 1]])
    # Two waves across the plane bend the strokes, a long one and a short, weak one.
    for period, strength in ((0.8, 0.03), (0.25, 0.006)):
        direction = rng.normal(0, 1, (2, 2))
        direction *= 2 * np.pi / period / np.linalg.norm(direction, axis=1, keepdims=True)
        phase = rng.uniform(0, 2 * np.pi, 2)
        points = points + abs(rng.normal(0, strength)) * np.sin(points @ direction.T + phase)
    points -= points.min(axis=0)
    points *= np.exp(rng.normal(0, 0.06)) / _height(points)
    points[:, 1] += 1 - points[:, 1].max()
    return np.split(points, ends)


def _height(points: Array) -> float:
    width, height = np.ptp(points, axis=0).tolist()
    return float(max(height, _LEAST_ASPECT * width, 1e-6))


def _draw_sign(rng: Generator) -> list[Stroke]:
    """A point, comma, colon, dash or equals sign right of x = 0, for digits that stand on y = 1."""
    width, y, length = rng.uniform(0.15, 0.55), rng.uniform(0.4, 0.7), rng.uniform(0.08, 0.3)
    signs: list[list[list[tuple[float, float]]]] = [
        [[(0, 0.97), (0.02, 1.0)]],
        [[(0.05, 0.95), (0.04, 0.95 + length / 2), (0, 0.95 + length)]],
        [[(0, 0.3), (0.02, 0.33)], [(0, 0.85), (0.02, 0.88)]],
        [[(0, y), (width, y)]],
        [[(0, y - 0.1), (width, y - 0.1)], [(0, y + 0.1), (width, y + 0.1)]],
    ]
    sign = signs[rng.choice(len(signs), p=[0.28, 0.28, 0.15, 0.21, 0.08])]
    return [np.array(line) + rng.normal(0, 0.015, (len(line), 2)) for line in sign]
