"""Composed numbers: pictures of digits of one hand in a row, on paper, as the number reader is trained on.

    hands = load_hands(data_dir)
    picture, text = compose_number(hands, np.random.default_rng(0))     # float32 [H, W], 0 = white, 1 = black

The digits come from MNIST's training digits and from `data/open`. They are written with one pen, apart, touching or
joined, with the points, dashes and signs that people write beside numbers, which are no part of the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from recognition.ink import Stroke
from recognition.normalize import INK_SIZE, stroke_width
from training.datasets import Digits, load_mnist, split_digits
from training.datasets.digits import split_indices
from training.datasets.drawings import Drawings
from training.datasets.open import load_pendigits, load_semeion, load_swiss, load_unipen_digits
from training.numbers.forms import count_forms, draw_form
from training.numbers.paper import photograph

Array = NDArray[np.float32]
Ink = NDArray[np.uint8]  # [H, W], 255 = full ink
Glyph = NDArray[np.uint8] | Sequence[Stroke]  # a frame, or lines in its pixels

_DIGIT = 40  # height of a digit in pixels of the picture, before it is scaled to a strip
_UNIT = _DIGIT / INK_SIZE  # pixels of the picture per pixel of a frame
_MARGIN = 40  # around the ink, which is cut to a smaller one at the end
_HANDS_OF_MNIST = 12  # MNIST's digits, which have no writers here, are grouped by the width of their strokes
_SHARES = {"mnist": 0.42, "unipen": 0.27, "pendigits": 0.15, "swiss": 0.14, "semeion": 0.02}
_DRAWN = ("unipen", "pendigits")  # the sources that are pen strokes
_SCREEN_PENS = 2.4, 4.8  # pixels: the widths that strokes may have in `recognition.numbers.pieces.draw_strip`
_SHARE_ODD, _SHARE_OF_ODD = 0.35, 0.4  # of numbers with odd forms of some digits, and of the digits in these
_SHARE_CURLED = 0.07  # of drawn digits whose last stroke ends in a curl


@dataclass(frozen=True, slots=True)
class Hand:
    """Digits by one writer, or alike: `glyphs[label]`."""

    glyphs: tuple[tuple[Glyph, ...], ...]


Hands = dict[str, list[Hand]]  # by source


# ---- hands ----


def load_hands(root: Path, *, for_validation: bool = False) -> Hands:
    """The training or validation digits of MNIST and of the open sets, by hand. Raises `DataError`."""
    semeion = split_digits(load_semeion(root))[for_validation]
    return {
        "mnist": group_by_width(split_digits(load_mnist(root, train=True))[for_validation], _HANDS_OF_MNIST),
        "unipen": group_by_writer(load_unipen_digits(root), for_validation),
        "pendigits": group_by_writer(load_pendigits(root), for_validation),
        "swiss": group_by_writer(load_swiss(root), for_validation),
        "semeion": [_hand(list(semeion.frames.numpy()), semeion.labels.numpy())],
    }


def group_by_width(digits: Digits, count: int) -> list[Hand]:
    frames, labels = digits.frames.numpy(), digits.labels.numpy()
    order = np.argsort([stroke_width(frame.astype(np.float32) / np.float32(255)) for frame in frames], kind="stable")
    return [_hand([frames[i] for i in part], labels[part]) for part in np.array_split(order, count)]


def group_by_writer(digits: Digits | Drawings, for_validation: bool) -> list[Hand]:
    glyphs: Sequence[Glyph] = list(digits.frames.numpy()) if isinstance(digits, Digits) else digits.lines
    labels, writers = digits.labels.numpy(), np.array(digits.writers)
    chosen = split_indices(digits.labels, digits.writers)[for_validation].numpy()
    groups = [chosen[writers[chosen] == writer] for writer in np.unique(writers[chosen])]
    hands = [_hand([glyphs[i] for i in group], labels[group]) for group in groups]
    return [hand for hand in hands if all(hand.glyphs)]


def _hand(glyphs: Sequence[Glyph], labels: NDArray[np.int64]) -> Hand:
    return Hand(tuple(tuple(g for g, known in zip(glyphs, labels, strict=True) if known == d) for d in range(10)))


# ---- the text ----


def choose_text(random: Generator) -> str:
    """One to eight digits; repeated ones, 1s and round numbers are more frequent than by chance."""
    length = int(random.choice(np.arange(1, 9), p=[0.08, 0.14, 0.17, 0.22, 0.2, 0.11, 0.05, 0.03]))
    digits = random.integers(0, 10, length)
    if random.random() < 0.3:
        start = random.integers(length)
        digits[start : start + random.integers(2, 4)] = digits[start]
    if random.random() < 0.15:
        digits[random.integers(length)] = 1
    if random.random() < 0.15:
        digits[max(1, length - random.integers(1, 4)) :] = 0
    return "".join(map(str, digits))


# ---- writing ----


@dataclass(frozen=True, slots=True)
class _Pen:
    width: float  # pixels of the picture
    size: float  # of a digit, relative to `_DIGIT`


def compose_number(hands: Hands, random: Generator, *, with_odd_forms: bool = True) -> tuple[Array, str]:
    """A picture `[H, W]` of a number in dark ink, 0 = white, 1 = black, and its digits."""
    text = choose_text(random)
    kind = random.choice(["paper", "clean", "screen"], p=[0.62, 0.16, 0.22])
    hand = _choose_hand(hands, random, drawn_only=kind == "screen")
    width = random.uniform(*_SCREEN_PENS) if kind == "screen" else None
    odd = _choose_odd_forms(random) if with_odd_forms else {}
    ink = write(text, hand, random, odd, with_signs=kind == "paper", pen_width=width)
    ink = _finish_ink(ink, random)
    return photograph(ink, random, is_clean=kind != "paper"), text


def _choose_hand(hands: Hands, random: Generator, *, drawn_only: bool) -> Hand:
    shares = {name: share for name, share in _SHARES.items() if not drawn_only or name in _DRAWN}
    total = sum(shares.values())
    source = random.choice(list(shares), p=[share / total for share in shares.values()])
    return hands[source][random.integers(len(hands[source]))]


def write(
    text: str,
    hand: Hand,
    random: Generator,
    odd: Mapping[int, int] | None = None,
    *,
    with_signs: bool = True,
    gaps: str | None = None,
    pen_width: float | None = None,
) -> Ink:
    """The ink of a number by one hand, uint8 `[H, W]`; `gaps` is "apart", "touching" or None for either.

    The digits in `odd` have the form of this index of `forms.py`. `pen_width` is in pixels for digits 40 pixels high;
    by default it is random.
    """
    width = pen_width or float(np.exp(random.uniform(np.log(1.6), np.log(7))))
    pen = _Pen(width, float(np.exp(random.normal(0, 0.06))))
    patches = [_draw_digit(_choose_glyph(hand, odd or {}, label, random), pen, random) for label in map(int, text)]
    spacing = _choose_spacing(random, gaps)
    bounds = 3 * _DIGIT + sum(patch.shape[1] + 2 * _DIGIT for patch in patches)
    canvas = np.zeros((3 * _DIGIT, bounds), np.uint8)
    x, base, ends = float(_DIGIT), 2.0 * _DIGIT, []
    drift = random.normal(0, 0.02)
    if with_signs and random.random() < 0.07:
        x = _write_sign(canvas, random.choice(list("#$*(=-/")), x, base, pen, random) + _DIGIT * random.uniform(0, 0.4)
    group = random.random() < 0.45 if with_signs else random.random() < 0.08
    for index, patch in enumerate(patches):
        top = round(base - patch.shape[0] + random.normal(0, 0.05) * _DIGIT + drift * (x - _DIGIT))
        left = round(x if not index else _place_after(canvas, patch, top, x, spacing, random))
        region = canvas[max(0, top) : top + patch.shape[0], left : left + patch.shape[1]]
        np.maximum(region, patch[: region.shape[0], : region.shape[1]], out=region)
        ends.append((left, left + patch.shape[1], top))
        x = left + patch.shape[1]
        remaining = len(patches) - index - 1
        if group and remaining and remaining % 3 == 0:
            x = _write_point(canvas, x, base + drift * (x - _DIGIT), pen, random)
    if random.random() < 0.12 and len(ends) > 1:
        _write_ligatures(canvas, ends, base, pen, random)
    if with_signs:
        _write_tail(canvas, x, base + drift * (x - _DIGIT), pen, random)
    left, top, width, height = cv2.boundingRect((canvas > 60).astype(np.uint8))
    tight = canvas[top : top + height, left : left + width]
    framed: Ink = cv2.copyMakeBorder(tight, *(_MARGIN,) * 4, cv2.BORDER_CONSTANT)
    return framed


def _choose_odd_forms(random: Generator) -> dict[int, int]:
    """Which digits have an odd form in a number, and which."""
    if random.random() > _SHARE_ODD:
        return {}
    return {label: int(random.integers(count_forms(label))) for label in range(10) if random.random() < _SHARE_OF_ODD}


def _choose_glyph(hand: Hand, odd: Mapping[int, int], label: int, random: Generator) -> Glyph:
    if label in odd:
        return draw_form(label, random, odd[label])
    return hand.glyphs[label][random.integers(len(hand.glyphs[label]))]


def _draw_digit(glyph: Glyph, pen: _Pen, random: Generator) -> Ink:
    """The ink of one digit, cropped."""
    aspect = np.exp(random.normal(0, 0.08))
    scale = np.array([_UNIT * aspect, _UNIT / aspect]) * pen.size * np.exp(random.normal(0, 0.07))
    if isinstance(glyph, np.ndarray):
        patch = _draw_frame(glyph, scale, pen)
    else:
        drawn = [*glyph[:-1], _curl(glyph[-1], random)] if random.random() < _SHARE_CURLED else glyph
        lines = [line @ np.array([[1, 0], [random.normal(0, 0.05), 1]]) * scale for line in drawn]
        low = np.concatenate(lines).min(axis=0)
        width, height = (np.ceil(np.concatenate(lines).max(axis=0) - low + 2 * pen.width + 2)).astype(int).tolist()
        patch = np.zeros((height, width), np.uint8)
        for line in lines:
            _draw_line(patch, line - low + pen.width, pen.width * random.uniform(0.9, 1.1))
    left, top, width, height = cv2.boundingRect((patch > 60).astype(np.uint8))
    crop: Ink = patch[top : top + height, left : left + width]
    return crop


def _curl(line: Stroke, random: Generator) -> Stroke:
    """The line with a curl at its end, which goes on in its direction and turns to one side."""
    direction = line[-1] - line[max(0, len(line) - 4)]
    n_points = int(random.integers(4, 14))
    angles = np.arctan2(direction[1], direction[0]) + random.normal(0, 0.3) * np.arange(1, n_points + 1)
    curled: Stroke = np.vstack(
        [line, line[-1] + 0.8 * np.cumsum(np.stack([np.cos(angles), np.sin(angles)], 1), axis=0)]
    )
    return curled


def _draw_frame(frame: NDArray[np.uint8], scale: NDArray[np.float64], pen: _Pen) -> Ink:
    size = [round(float(s) * 28) for s in scale]
    large = cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC)
    crisp = np.clip((large.astype(np.float32) - 110) * 3 + 128, 0, 255).astype(np.uint8)
    padded: Ink = cv2.copyMakeBorder(crisp, 8, 8, 8, 8, cv2.BORDER_CONSTANT)
    # From the width of the frame's strokes part of the way to the pen's.
    change = round(0.7 * (pen.width - stroke_width(padded.astype(np.float32) / np.float32(255))))
    if not change:
        return padded
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (abs(change) + 1,) * 2)
    changed: Ink = cv2.dilate(padded, kernel) if change > 0 else cv2.erode(padded, kernel)
    # Thin strokes of the frame must not vanish.
    return changed if changed.max(initial=0) > 200 and changed.sum() > 0.3 * padded.sum() else padded


def _draw_line(canvas: Ink, points: NDArray[np.float64], width: float) -> None:
    fixed = np.round((np.vstack([points, points[-1:]]) - 0.5) * 256).astype(np.int32)
    cv2.polylines(canvas, [fixed], False, 255, max(1, round(width)), cv2.LINE_AA, 8)


def _choose_spacing(random: Generator, gaps: str | None) -> tuple[float, float]:
    """Mean and spread of the gap between the nearest ink of two digits, in heights of a digit."""
    kinds = {"apart": (random.uniform(0.12, 0.6), 0.06), "touching": (random.uniform(-0.12, 0.04), 0.06)}
    return kinds[gaps or random.choice(["apart", "touching"], p=[0.6, 0.4])]


def _place_after(canvas: Ink, patch: Ink, top: int, x: float, spacing: tuple[float, float], random: Generator) -> float:
    """Where the next digit begins: its nearest ink as far from the ink before it as the spacing says."""
    rows = slice(max(0, top), top + patch.shape[0])
    before = canvas[rows] > 60
    reach = before.shape[1] - before[:, ::-1].argmax(axis=1)
    reach = np.where(before.any(axis=1), reach, -(10**6))
    after = patch[: len(reach)] > 60
    start = np.where(after.any(axis=1), after.argmax(axis=1), 10**6)
    # A digit may lean over the one before it: ink in neighbouring rows counts, too.
    reach = np.lib.stride_tricks.sliding_window_view(np.pad(reach, 6, mode="edge"), 13).max(axis=1)
    contact = float((reach - start).max())
    gap = random.normal(*spacing) * _DIGIT
    return float(max(contact if contact > 0 else x, x - 0.6 * patch.shape[1]) + gap)


def _write_point(canvas: Ink, x: float, base: float, pen: _Pen, random: Generator) -> float:
    """A point or comma between groups of digits; returns where the next digit may begin."""
    x += _DIGIT * random.uniform(0.02, 0.25)
    y = base - pen.width / 2 + _DIGIT * random.normal(0.02, 0.05)
    length = _DIGIT * (random.uniform(0, 0.05) if random.random() < 0.6 else random.uniform(0.1, 0.45))
    slant = random.uniform(-0.8, 0.2)
    points = np.array([[x, y], [x + slant * length / 2, y + length / 2], [x + slant * length, y + length]])
    _draw_line(canvas, points, pen.width * random.uniform(1, 1.5))
    return x + pen.width + _DIGIT * random.uniform(0, 0.12)


def _write_ligatures(
    canvas: Ink, ends: Sequence[tuple[int, int, int]], base: float, pen: _Pen, random: Generator
) -> None:
    """Thin strokes that join some digits to the next."""
    for (_, right, _), (left, _, top) in pairwise(ends):
        if random.random() < 0.5 and left - right < 0.5 * _DIGIT:
            y0, y1 = random.uniform(top + 0.3 * (base - top), base, 2)
            start, end = (right - 0.15 * _DIGIT, y0), (left + 0.15 * _DIGIT, y1)
            sag = random.normal(0, 0.15) * _DIGIT
            t = np.linspace(0, 1, 8)[:, None]
            line = np.array(start) * (1 - t) + np.array(end) * t + np.hstack([0 * t, sag * np.sin(np.pi * t)])
            _draw_line(canvas, line, pen.width * random.uniform(0.5, 1))


def _write_tail(canvas: Ink, x: float, base: float, pen: _Pen, random: Generator) -> None:
    """What ends an amount, so that nothing can be added: dashes, points, equals signs, a flourish."""
    kind = random.choice(["", "-", ".", ",-", ".-", "=", "/", "//", "~", "#", "*"], p=_TAILS)
    for sign in kind:
        x = _write_sign(canvas, sign, x + _DIGIT * random.uniform(0.02, 0.3), base, pen, random)


_TAILS = [0.44, 0.13, 0.1, 0.06, 0.06, 0.07, 0.03, 0.01, 0.04, 0.04, 0.02]


def _write_sign(canvas: Ink, sign: str, x: float, base: float, pen: _Pen, random: Generator) -> float:
    """A sign right of `x`; returns its right end."""
    if sign in ".,":
        return _write_point(canvas, x, base, pen, random)
    size = _DIGIT * random.uniform(0.3, 0.9)
    x += pen.width / 2
    middle = base - _DIGIT * random.uniform(0.2, 0.6)
    slope = random.normal(0, 0.12)
    bar = np.array([[0, 0], [0.5, random.normal(0, 0.05)], [1, slope]])
    up, down = np.array([0, -0.17]), np.array([0, 0.17])
    t = np.linspace(0, 1.2, 20)
    shapes: dict[str, list[NDArray[np.float64]]] = {
        "-": [bar],
        "=": [bar + up, bar + down],
        "/": [np.array([[0, 0.9], [0.5, -0.9]])],
        "~": [np.stack([t, 0.12 * np.sin(t * random.uniform(5, 14))], axis=1)],
        "#": [bar + up, bar + down, np.array([[0.2, 0.5], [0.4, -0.5]]), np.array([[0.6, 0.5], [0.8, -0.5]])],
        "*": [np.array([[0, 0], [0.6, 0]]), np.array([[0.1, -0.3], [0.5, 0.3]]), np.array([[0.5, -0.3], [0.1, 0.3]])],
        "(": [np.array([[0.3, -0.9], [0.05, -0.3], [0.05, 0.3], [0.3, 0.9]])],
        "$": [_DOLLAR, np.array([[0.3, -1.0], [0.3, 1.0]])],
    }
    lines = [line * size + [x, middle] for line in shapes[sign]]
    for line in lines:
        _draw_line(canvas, line, pen.width)
    return float(max(line[:, 0].max() for line in lines)) + pen.width / 2


_DOLLAR = np.array([[0.6, -0.6], [0.3, -0.8], [0, -0.5], [0.3, 0], [0.6, 0.5], [0.3, 0.8], [0, 0.6]])


# ---- the whole line ----


def _finish_ink(ink: Ink, random: Generator) -> Ink:
    """Slant, tilt and bend of the line, and its margins."""
    height, width = ink.shape
    slant, tilt = random.normal(0, 0.22), random.normal(0, 0.035)
    wave, phase = abs(random.normal(0, 1.2)), random.uniform(0, 2 * np.pi)
    stretch = np.exp(random.normal(0, 0.12))
    out = round(width * stretch)
    y, x = np.mgrid[0:height, 0:out].astype(np.float32)
    source_x = (x - out / 2) / np.float32(stretch) + width / 2 + np.float32(slant) * (y - height / 2)
    source_y = y + np.float32(tilt) * (x - out / 2) + np.float32(wave) * np.sin(x / np.float32(60) + np.float32(phase))
    small = random.normal(0, random.uniform(0.2, 1.1), (2, height // 12 + 2, out // 12 + 2)).astype(np.float32)
    jitter = [cv2.resize(each, (out, height), interpolation=cv2.INTER_CUBIC) for each in small]
    moved = cv2.remap(
        ink,
        (source_x + jitter[0]).astype(np.float32),
        (source_y + jitter[1]).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )
    left, top, width, height = cv2.boundingRect((moved > 60).astype(np.uint8))
    sides = [round(min(_MARGIN, height * m)) for m in np.abs(random.normal([0.1, 0.1, 0.25, 0.25], 0.12))]
    if random.random() < 0.1:
        sides[random.integers(2)] -= round(0.06 * height)  # cut off a little
    rows = slice(max(0, top - sides[0]), top + height + sides[1])
    columns = slice(max(0, left - sides[2]), left + width + sides[3])
    final: Ink = moved[rows, columns]
    return final
