"""Composed numbers: pictures of digits by one writer in a row, on paper, as the number reader is trained on.

    writers = load_writers(data_dir)
    picture, text = compose_number(writers, np.random.default_rng(0))     # float32 [H, W], 0 = white, 1 = black

The digits come from MNIST's training digits and from `data/open`. They are written with one pen, apart, touching or
joined, with the points, dashes and signs that people write beside numbers, which are no part of the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from recognition.frame import INK_SIZE, stroke_width
from recognition.strokes import Stroke
from training.numbers.paper import photograph
from training.numbers.rare_shapes import count_forms, draw_form
from training.numbers.symbols import DIGIT, Ink, Pen, draw_line, write_ligatures, write_point, write_sign, write_tail
from training.numbers.writers import Glyph, Writer, Writers

Array = NDArray[np.float32]

_UNIT = DIGIT / INK_SIZE  # pixels of the picture per pixel of a frame
_MARGIN = 40  # around the ink, which is cut to a smaller one at the end
_SHARES = {"mnist": 0.42, "unipen": 0.27, "pendigits": 0.15, "swiss": 0.14, "semeion": 0.02}
_DRAWN = ("unipen", "pendigits")  # the sources that are pen strokes
_SCREEN_PENS = 2.4, 4.8  # pixels: the widths that strokes may have in `recognition.numbers.drawn_line.draw_strip`
_SHARE_ODD, _SHARE_OF_ODD = 0.35, 0.4  # of numbers with odd forms of some digits, and of the digits in these
_SHARE_CURLED = 0.07  # of drawn digits whose last stroke ends in a curl


# ---- the text ----


def choose_text(rng: Generator) -> str:
    """One to eight digits; repeated ones, 1s and round numbers are more frequent than by chance."""
    length = int(rng.choice(np.arange(1, 9), p=[0.08, 0.14, 0.17, 0.22, 0.2, 0.11, 0.05, 0.03]))
    digits = rng.integers(0, 10, length)
    if rng.random() < 0.3:
        start = rng.integers(length)
        digits[start : start + rng.integers(2, 4)] = digits[start]
    if rng.random() < 0.15:
        digits[rng.integers(length)] = 1
    if rng.random() < 0.15:
        digits[max(1, length - rng.integers(1, 4)) :] = 0
    return "".join(map(str, digits))


# ---- writing ----


def compose_number(writers: Writers, rng: Generator, *, with_odd_forms: bool = True) -> tuple[Array, str]:
    """A picture `[H, W]` of a number in dark ink, 0 = white, 1 = black, and its digits."""
    text = choose_text(rng)
    kind = _choose_kind(rng)
    writer = _choose_writer(writers, rng, drawn_only=kind == "screen")
    odd = choose_odd_forms(rng) if with_odd_forms else {}
    ink = write(text, writer, rng, odd, with_signs=kind == "paper", pen_width=_choose_width(kind, rng))
    return _finish(ink, kind, rng), text


def _choose_kind(rng: Generator) -> str:
    kind: str = rng.choice(["paper", "clean", "screen"], p=[0.62, 0.16, 0.22])
    return kind


def _choose_width(kind: str, rng: Generator) -> float:
    """The width of the pen in pixels, for digits 40 pixels high."""
    if kind == "screen":
        return rng.uniform(*_SCREEN_PENS)
    return float(np.exp(rng.uniform(np.log(1.6), np.log(7))))


def _choose_writer(writers: Writers, rng: Generator, *, drawn_only: bool) -> Writer:
    shares = {name: share for name, share in _SHARES.items() if not drawn_only or name in _DRAWN}
    total = sum(shares.values())
    source = rng.choice(list(shares), p=[share / total for share in shares.values()])
    return writers[source][rng.integers(len(writers[source]))]


def write(
    text: str,
    writer: Writer,
    rng: Generator,
    odd: Mapping[int, int] | None = None,
    *,
    pen_width: float,
    with_signs: bool = True,
    gaps: str | None = None,
) -> Ink:
    """The ink of a number by one writer, uint8 `[H, W]`; `gaps` is "apart", "touching" or None for either.

    The digits in `odd` have the form of this index of `rare_shapes.py`. `pen_width` is in pixels of digits that are 40
    pixels high.
    """
    pen = Pen(pen_width, float(np.exp(rng.normal(0, 0.06))))
    glyphs = [_choose_glyph(writer, odd or {}, label, rng) for label in map(int, text)]
    return _write_row(glyphs, pen, rng, with_signs=with_signs, gaps=gaps)


def _write_row(glyphs: Sequence[Glyph], pen: Pen, rng: Generator, *, with_signs: bool, gaps: str | None = None) -> Ink:
    patches = [_draw_digit(glyph, pen, rng) for glyph in glyphs]
    spacing = _choose_spacing(rng, gaps)
    bounds = 3 * DIGIT + sum(patch.shape[1] + 2 * DIGIT for patch in patches)
    canvas = np.zeros((3 * DIGIT, bounds), np.uint8)
    x, base, ends = float(DIGIT), 2.0 * DIGIT, []
    drift = rng.normal(0, 0.02)
    if with_signs and rng.random() < 0.07:
        x = write_sign(canvas, rng.choice(list("#$*(=-/")), x, base, pen, rng) + DIGIT * rng.uniform(0, 0.4)
    group = rng.random() < 0.45 if with_signs else rng.random() < 0.08
    for index, patch in enumerate(patches):
        top = round(base - patch.shape[0] + rng.normal(0, 0.05) * DIGIT + drift * (x - DIGIT))
        left = round(x if not index else _place_after(canvas, patch, top, x, spacing, rng))
        region = canvas[max(0, top) : top + patch.shape[0], left : left + patch.shape[1]]
        np.maximum(region, patch[: region.shape[0], : region.shape[1]], out=region)
        ends.append((left, left + patch.shape[1], top))
        x = left + patch.shape[1]
        remaining = len(patches) - index - 1
        if group and remaining and remaining % 3 == 0:
            x = write_point(canvas, x, base + drift * (x - DIGIT), pen, rng)
    if rng.random() < 0.12 and len(ends) > 1:
        write_ligatures(canvas, ends, base, pen, rng)
    if with_signs:
        write_tail(canvas, x, base + drift * (x - DIGIT), pen, rng)
    left, top, width, height = cv2.boundingRect((canvas > 60).astype(np.uint8))
    tight = canvas[top : top + height, left : left + width]
    framed: Ink = cv2.copyMakeBorder(tight, *(_MARGIN,) * 4, cv2.BORDER_CONSTANT)
    return framed


def choose_odd_forms(rng: Generator) -> dict[int, int]:
    """Which digits have an odd form in a number, and which."""
    if rng.random() > _SHARE_ODD:
        return {}
    return {label: int(rng.integers(count_forms(label))) for label in range(10) if rng.random() < _SHARE_OF_ODD}


def _choose_glyph(writer: Writer, odd: Mapping[int, int], label: int, rng: Generator) -> Glyph:
    if label in odd:
        return draw_form(label, rng, odd[label])
    return writer.glyphs[label][rng.integers(len(writer.glyphs[label]))]


def _draw_digit(glyph: Glyph, pen: Pen, rng: Generator) -> Ink:
    """The ink of one digit, cropped."""
    aspect = np.exp(rng.normal(0, 0.08))
    scale = np.array([_UNIT * aspect, _UNIT / aspect]) * pen.size * np.exp(rng.normal(0, 0.07))
    if isinstance(glyph, np.ndarray):
        patch = _draw_frame(glyph, scale, pen)
    else:
        drawn = [*glyph[:-1], _curl(glyph[-1], rng)] if rng.random() < _SHARE_CURLED else glyph
        lines = [line @ np.array([[1, 0], [rng.normal(0, 0.05), 1]]) * scale for line in drawn]
        low = np.concatenate(lines).min(axis=0)
        width, height = (np.ceil(np.concatenate(lines).max(axis=0) - low + 2 * pen.width + 2)).astype(int).tolist()
        patch = np.zeros((height, width), np.uint8)
        for line in lines:
            draw_line(patch, line - low + pen.width, pen.width * rng.uniform(0.9, 1.1))
    left, top, width, height = cv2.boundingRect((patch > 60).astype(np.uint8))
    crop: Ink = patch[top : top + height, left : left + width]
    return crop


def _curl(line: Stroke, rng: Generator) -> Stroke:
    """The line with a curl at its end, which goes on in its direction and turns to one side."""
    direction = line[-1] - line[max(0, len(line) - 4)]
    n_points = int(rng.integers(4, 14))
    angles = np.arctan2(direction[1], direction[0]) + rng.normal(0, 0.3) * np.arange(1, n_points + 1)
    curled: Stroke = np.vstack(
        [line, line[-1] + 0.8 * np.cumsum(np.stack([np.cos(angles), np.sin(angles)], 1), axis=0)]
    )
    return curled


def _draw_frame(frame: NDArray[np.uint8], scale: NDArray[np.float64], pen: Pen) -> Ink:
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


def _choose_spacing(rng: Generator, gaps: str | None) -> tuple[float, float]:
    """Mean and spread of the gap between the nearest ink of two digits, in heights of a digit."""
    kinds = {"apart": (rng.uniform(0.12, 0.6), 0.06), "touching": (rng.uniform(-0.12, 0.04), 0.06)}
    return kinds[gaps or rng.choice(["apart", "touching"], p=[0.6, 0.4])]


def _place_after(canvas: Ink, patch: Ink, top: int, x: float, spacing: tuple[float, float], rng: Generator) -> float:
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
    gap = rng.normal(*spacing) * DIGIT
    return float(max(contact if contact > 0 else x, x - 0.6 * patch.shape[1]) + gap)


# ---- the whole line ----


def _finish(ink: Ink, kind: str, rng: Generator) -> Array:
    return photograph(_distort(ink, rng), rng, is_clean=kind != "paper")


def _distort(ink: Ink, rng: Generator) -> Ink:
    """Slant, tilt and bend of the line, and its margins."""
    height, width = ink.shape
    slant, tilt = rng.normal(0, 0.22), rng.normal(0, 0.035)
    wave, phase = abs(rng.normal(0, 1.2)), rng.uniform(0, 2 * np.pi)
    stretch = np.exp(rng.normal(0, 0.12))
    out = round(width * stretch)
    y, x = np.mgrid[0:height, 0:out].astype(np.float32)
    source_x = (x - out / 2) / np.float32(stretch) + width / 2 + np.float32(slant) * (y - height / 2)
    source_y = y + np.float32(tilt) * (x - out / 2) + np.float32(wave) * np.sin(x / np.float32(60) + np.float32(phase))
    small = rng.normal(0, rng.uniform(0.2, 1.1), (2, height // 12 + 2, out // 12 + 2)).astype(np.float32)
    jitter = [cv2.resize(each, (out, height), interpolation=cv2.INTER_CUBIC) for each in small]
    moved = cv2.remap(
        ink,
        (source_x + jitter[0]).astype(np.float32),
        (source_y + jitter[1]).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )
    left, top, width, height = cv2.boundingRect((moved > 60).astype(np.uint8))
    sides = [round(min(_MARGIN, height * m)) for m in np.abs(rng.normal([0.1, 0.1, 0.25, 0.25], 0.12))]
    if rng.random() < 0.1:
        sides[rng.integers(2)] -= round(0.06 * height)  # cut off a little
    rows = slice(max(0, top - sides[0]), top + height + sides[1])
    columns = slice(max(0, left - sides[2]), left + width + sides[3])
    final: Ink = moved[rows, columns]
    return final
