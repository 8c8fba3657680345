"""Drawings: digits and non-digits as pen strokes, of which each epoch renders other frames.

drawings = load_strokes(Path("pens.jsonl.gz"))
frames = drawings.vary(np.random.default_rng(0))     # uint8 [N, 28, 28]
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from config import Limits
from model_file import FRAME_SIZE, N_DIGITS
from recognition.errors import InputError
from recognition.frame import INK_SIZE
from recognition.strokes import PEN_WIDTH, Stroke, render, trace, validate_strokes
from training.datasets.digits import DataError, Digits
from training.datasets.frames import stack_frames

Array = NDArray[np.float64]
Line = Mapping[str, Any]  # of a file: label, strokes and, where it is known, writer


@dataclass(frozen=True, slots=True)
class Drawings:
    """Labelled drawings, as the smooth lines of `recognition.strokes.trace`."""

    lines: Sequence[Sequence[Stroke]]
    labels: Tensor  # int64 [N]
    writers: Sequence[str] | None = None  # of each drawing

    def __len__(self) -> int:
        return len(self.lines)

    def select(self, indices: Tensor) -> Drawings:
        """The drawings at `indices`, in that order, without their writers."""
        return Drawings([self.lines[index] for index in indices.tolist()], self.labels[indices])

    def render(self) -> Digits:
        """The frames that serving makes of the same drawings."""
        return Digits(stack_frames([render(lines)[0] for lines in self.lines]), self.labels)

    def vary(self, rng: Generator) -> Tensor:
        """Frames uint8 `[N, 28, 28]` as if drawn once more: with another pen, slant, proportions and steadiness."""
        if not self.lines:
            return stack_frames([])
        sizes = np.array([len(line) for lines in self.lines for line in lines])
        owner = np.repeat(np.arange(len(self)), [sum(map(len, lines)) for lines in self.lines])  # of each point
        points = np.concatenate([line for lines in self.lines for line in lines])
        points = _smooth(points, sizes, rng.uniform(-0.5, 0.9, len(self)).clip(0)[owner, None])
        points = _tremble(points - FRAME_SIZE / 2, owner, len(self), rng)
        points = np.einsum("nij,nj->ni", _random_affine(len(self), rng)[owner], points)
        pens = (PEN_WIDTH * np.exp(rng.normal(0, 0.2, len(self)))).clip(1.2, 3.5)
        strokes = iter(np.split(_fit(points, owner, pens), sizes.cumsum()[:-1]))
        frames = [
            render([next(strokes) for _ in lines], pen)[0] for lines, pen in zip(self.lines, pens.tolist(), strict=True)
        ]
        return stack_frames(frames)


NO_DRAWINGS = Drawings([], torch.empty(0, dtype=torch.int64))


def _smooth(points: Array, sizes: NDArray[np.int64], weight: Array) -> Array:
    """Points `[P, 2]` moved by `weight` `[P, 1]` towards their neighbours on the stroke; `sizes` is points a stroke."""
    ends = sizes.cumsum()
    index = np.arange(len(points))
    before, after = index - 1, index + 1
    before[ends - sizes] += 1
    after[ends - 1] -= 1
    for _ in range(6):
        points = points + weight * ((points[before] + points[after]) / 2 - points)
    return points


def _tremble(points: Array, owner: NDArray[np.int64], count: int, rng: Generator) -> Array:
    """Two waves a drawing across the plane bend its strokes, a long one and a short, weak one."""
    for period, strength in ((16.0, 0.5), (5.0, 0.12)):
        angle, phase = rng.uniform(0, 2 * np.pi, (2, count, 2))
        rate = 2 * np.pi / (period * np.exp(rng.normal(0, 0.3, (count, 1))))
        direction = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * rate[..., None]  # [N, 2 axes, 2]
        wave = np.sin(np.einsum("nij,nj->ni", direction[owner], points) + phase[owner])
        points = points + wave * (np.abs(rng.normal(0, strength, (count, 1))).clip(0, 2 * strength))[owner]
    return points


def _random_affine(count: int, rng: Generator) -> Array:
    """Slant, proportions and a slight turn: matrices `[N, 2, 2]`."""
    angle, slant, aspect = rng.normal(0, [0.06, 0.12, 0.1], (count, 3)).clip(-0.3, 0.3).T
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=1).reshape(-1, 2, 2)
    zero = np.zeros(count)
    shape = np.stack([np.exp(aspect), slant, zero, np.exp(-aspect)], axis=1).reshape(-1, 2, 2)
    affine: Array = np.einsum("nij,njk->nik", turn, shape)
    return affine


def _fit(points: Array, owner: NDArray[np.int64], pens: Array) -> Array:
    """Scale and centre each drawing as `recognition.strokes` does, for the width of its pen."""
    starts = np.searchsorted(owner, np.arange(len(pens)))
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    extent = (high - low).max(axis=1)
    scale = np.where(extent > 1e-6, (INK_SIZE - pens) / np.maximum(extent, 1e-6), 0.0)
    fitted: Array = (points - ((low + high) / 2)[owner]) * scale[owner, None] + FRAME_SIZE / 2
    return fitted


# ---- files ----


def load_strokes(
    path: Path, label_of: Callable[[Line], int | None] = lambda line: parse_label(line["label"])
) -> Drawings:
    """The drawings in a file of JSON lines, plain or gz. Raises `DataError`.

    `label_of` returns a digit, 10 for a non-digit, or None for a line to leave out.
    """
    lines, labels, writers, limits = [], [], [], Limits()
    for number, line in enumerate(read_lines(path), start=1):
        try:
            if (label := label_of(line)) is None:
                continue
            lines.append(trace(validate_strokes(line["strokes"], limits)))
        except (KeyError, InputError) as error:
            raise DataError(f"{path} is damaged: line {number} needs label and strokes.") from error
        labels.append(label)
        writers.append(str(line.get("writer", "")))
    if not lines:
        raise DataError(f"{path} has no drawings to train on.")
    return Drawings(lines, torch.tensor(labels), writers if any(writers) else None)


def parse_label(label: object, non_digit: int = N_DIGITS) -> int:
    """The digit that a number or text stands for, or `non_digit`."""
    text = str(label)
    return int(text) if len(text) == 1 and text in "0123456789" else non_digit


def read_lines(path: Path, max_length: int | None = None) -> Iterator[dict[str, Any]]:
    """The objects in a file of one JSON object per line, plain or gzipped. Raises `DataError`.

    No line may have more than `max_length` characters; by default, any length is read.
    """
    n_read = -1 if max_length is None else max_length + 1
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            for number, text in enumerate(iter(lambda: file.readline(n_read), ""), start=1):
                if max_length is not None and len(text) > max_length:
                    raise DataError(f"{path} is damaged: line {number} has more than {max_length:,} characters.")
                yield _parse_line(text, f"{path} is damaged: line {number}")
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}.") from error
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}.") from error


def _parse_line(text: str, place: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place} is not JSON.") from error
    if not isinstance(line, dict):
        raise DataError(f"{place} is not a JSON object.")
    return line
