"""Synthetic non-digits, on which the background class is trained.

Scribbles, random glyphs, shapes, dots and dashes are rendered by recognition.strokes, as drawings on the page are. Rows
and crops are made from the training digits, textures are computed. Real non-digits are in training.datasets.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from model_file import FRAME_SIZE
from recognition.strokes import Stroke, draw
from training.datasets.frames import to_uint8

Strokes = list[Stroke]


def make_drawings(count: int, digits: Tensor, seed: int) -> Tensor:
    """At most `count` drawings that do not look like `digits`; both are frames uint8 `[N, 28, 28]`."""
    rng = np.random.default_rng(seed)
    kinds: list[Callable[[Generator], Strokes]] = [scribble, glyph, glyph, glyph, sign, sign, shape, marks]
    drawings = [draw(kinds[index % len(kinds)](rng)) for index in range(count)]
    frames = torch.from_numpy(to_uint8(np.stack(drawings)))
    return frames[~look_like_digits(frames, digits)]


def look_like_digits(frames: Tensor, digits: Tensor, share: float = 0.95) -> Tensor:
    """Whether each frame is as similar to some digit as this share of the digits are to each other, bool `[N]`.

    Random strokes sometimes form a digit, which must not be labelled as a non-digit.
    """
    known, held_out = _embed(digits[: len(digits) // 2]), _embed(digits[len(digits) // 2 :][:1000])
    threshold = torch.quantile(_nearest(held_out, known), 1 - share)
    return _nearest(_embed(frames), known) > threshold


def _embed(frames: Tensor) -> Tensor:
    """Unit vectors `[N, 196]` of the frames at half resolution, which makes them robust to small shifts."""
    small = F.avg_pool2d(frames.float().unsqueeze(1), 4, stride=2, padding=1)
    return F.normalize(small.flatten(1), dim=1)


def _nearest(frames: Tensor, known: Tensor) -> Tensor:
    """Cosine similarity `[N]` of each embedded frame with the most similar known one."""
    return torch.cat([(part @ known.T).amax(1) for part in frames.split(2000)])


def scribble(rng: Generator) -> Strokes:
    """A random walk with inertia: coils, zigzags, hatching."""
    n = int(rng.integers(40, 220))
    turn = rng.normal(0, rng.uniform(0.15, 0.9), n) + rng.normal(0, 0.35)
    if rng.random() < 0.4:  # hatching: back and forth, drifting sideways
        t = np.linspace(0, rng.uniform(3, 12) * 2 * math.pi, n)
        line = np.stack([np.sin(t) * 10, t * rng.uniform(0.1, 1.2)], axis=1) + rng.normal(0, 0.6, (n, 2))
        return [line @ _rotation(rng.uniform(0, math.pi))]
    heading = np.cumsum(turn)
    return [np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)]


def glyph(rng: Generator) -> Strokes:
    """A random character: three to six strokes, straight or curved, between points of a lattice."""
    n_strokes = int(rng.integers(3, 7))
    lattice = np.stack(np.meshgrid([0, 5, 10], [0, 4, 8, 12]), axis=-1).reshape(-1, 2).astype(float)
    # As in real characters, most strokes start where an earlier one touched the lattice.
    touched = [lattice[rng.integers(len(lattice))]]
    strokes = []
    for _ in range(n_strokes):
        start = touched[rng.integers(len(touched))] if rng.random() < 0.7 else lattice[rng.integers(12)]
        end = lattice[rng.integers(len(lattice))]
        strokes.append(_curve(start, end, rng))
        touched.append(end)
    slant = np.array([[1, 0], [rng.normal(0, 0.2), 1]])
    return [(stroke + rng.normal(0, 0.12, stroke.shape)) @ slant for stroke in strokes]


def sign(rng: Generator) -> Strokes:
    """A simple sign: a line of one to three straight or curved segments, with or without a dot."""
    lattice = np.stack(np.meshgrid([0, 5, 10], [0, 4, 8, 12]), axis=-1).reshape(-1, 2).astype(float)
    corners = lattice[rng.permutation(len(lattice))[: rng.integers(2, 5)]]
    line = np.vstack([_curve(a, b, rng) for a, b in pairwise(corners)])
    strokes = [line + rng.normal(0, 0.15, line.shape)]
    if rng.random() < 0.3:
        low, high = line.min(axis=0), line.max(axis=0)
        below = np.array([(low[0] + high[0]) / 2 + rng.normal(0, 2), high[1] + rng.uniform(1.5, 4)])
        strokes.append(below[None, :])
    return strokes


def _curve(start: NDArray[np.float64], end: NDArray[np.float64], rng: Generator) -> Stroke:
    """A straight line or an arc from `start` to `end`; a loop where they coincide."""
    t = np.linspace(0, 1, 14)[:, None]
    if np.allclose(start, end):
        radius = rng.uniform(1.5, 3)
        angle = 2 * math.pi * t * rng.uniform(0.6, 1.0)
        return start + radius * np.hstack([np.cos(angle) - 1, np.sin(angle)])
    line: Stroke = start + (end - start) * t
    normal = np.array([start[1] - end[1], end[0] - start[0]])
    bow = float(rng.choice([0.0, 0.0, 1.0, -1.0]) * rng.uniform(0.15, 0.75))
    return line + normal * bow * np.sin(math.pi * t)


def shape(rng: Generator) -> Strokes:
    """Doodles: polygons, stars, crosses, arrows, hearts, waves, houses and others."""
    kinds = [_polygon, _star, _cross, _arrow, _heart, _wave, _spiral, _house, _face, _grid]
    strokes = kinds[rng.integers(len(kinds))](rng)
    jitter = rng.uniform(0, 0.25)
    bend = np.array([[rng.uniform(0.6, 1.4), rng.normal(0, 0.2)], [rng.normal(0, 0.2), 1]])
    return [(stroke + rng.normal(0, jitter, stroke.shape)) @ bend for stroke in strokes]


def _polygon(rng: Generator) -> Strokes:
    n = int(rng.integers(3, 7))
    angle = np.linspace(0, 2 * math.pi, n + 1) + rng.uniform(0, 2 * math.pi)
    corners = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 10
    return [_straight(corners)]


def _star(rng: Generator) -> Strokes:
    n = int(rng.integers(4, 8))
    angle = np.linspace(0, 2 * math.pi, 2 * n + 1)
    radius = np.where(np.arange(2 * n + 1) % 2, rng.uniform(3, 5), 10)
    if rng.random() < 0.5:
        return [np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None]]
    rays = angle[: n * 2 : 2]
    return [np.array([[0, 0], [10 * math.cos(a), 10 * math.sin(a)]]) for a in rays]


def _cross(rng: Generator) -> Strokes:
    turn = rng.uniform(-0.3, 0.3) + rng.choice([0, math.pi / 4])
    bars = [np.array([[-10.0, 0], [10, 0]]), np.array([[0.0, -10], [0, 10]])]
    extra = [np.array([[-7.0, -7], [7, 7]]), np.array([[-7.0, 7], [7, -7]])] if rng.random() < 0.3 else []
    return [bar @ _rotation(turn) for bar in [*bars, *extra]]


def _arrow(rng: Generator) -> Strokes:
    shaft = np.array([[-10.0, 0], [10, 0]])
    size = rng.uniform(3, 7)
    head = np.array([[10 - size, -size], [10, 0], [10 - size, size]])
    # Pointing up or down, an arrow resembles a 1.
    return [part @ _rotation(rng.choice([0, math.pi]) + rng.normal(0, 0.4)) for part in (shaft, head)]


def _heart(rng: Generator) -> Strokes:
    t = np.linspace(0, 2 * math.pi, 40)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return [np.stack([x, y], axis=1) * rng.uniform(0.8, 1.2)]


def _wave(rng: Generator) -> Strokes:
    t = np.linspace(0, rng.uniform(1.2, 4) * 2 * math.pi, 50)
    line = np.stack([t * 2, np.sin(t) * rng.uniform(1, 5)], axis=1)
    return [line @ _rotation(rng.normal(0, 0.3))]


def _spiral(rng: Generator) -> Strokes:
    t = np.linspace(0, rng.uniform(2.2, 5) * 2 * math.pi, 90)
    return [np.stack([t * np.cos(t), t * np.sin(t)], axis=1) * rng.choice([-1, 1], 2)]


def _house(rng: Generator) -> Strokes:
    roof = rng.uniform(3, 8)
    walls = _straight(np.array([[0, 0], [10, 0], [10, 10], [0, 10], [0, 0.0]]))
    return [walls, np.array([[0, 0], [5, -roof], [10, 0]])]


def _face(rng: Generator) -> Strokes:
    t = np.linspace(0, 2 * math.pi, 40)
    ring = np.stack([np.cos(t), np.sin(t)], axis=1)
    mouth = ring[: 1 + 20] * [5, rng.choice([-1, 1]) * 4] + [0, 3]
    return [ring * 10, ring * 0.8 + [-4, -3], ring * 0.8 + [4, -3], mouth]


def _grid(rng: Generator) -> Strokes:
    n = int(rng.integers(2, 5))
    rows = [np.array([[0, y], [10, y]]) for y in np.linspace(0, 10, n)]
    return [*rows, *(row[:, ::-1] for row in rows)]


def marks(rng: Generator) -> Strokes:
    """One to four dots or dashes, as in punctuation; never a single upright dash, which is a 1."""
    n = int(rng.integers(1, 5))
    if n == 1:
        angle = rng.uniform(-1, 1) * math.radians(30)
        length = rng.choice([0.0, 1.0, 10.0])
        return [np.array([[0.0, 0.0], [math.cos(angle), math.sin(angle)]]) * length]
    gap = rng.uniform(2, 8)
    direction = rng.uniform(0, math.pi)
    dash = np.array([[0.0, 0.0], [rng.normal(0, 1.5), rng.normal(0, 1.5)]]) * rng.choice([0.0, 1.0])
    step = np.array([math.cos(direction), math.sin(direction)]) * gap
    return [dash + step * index + rng.normal(0, 0.3, 2) for index in range(n)]


def _straight(corners: NDArray[np.float64]) -> Stroke:
    """The polygon through `corners`, with points so dense that smoothing keeps the corners."""
    t = np.linspace(0, 1, 10, endpoint=False)[:, None]
    sides = [a + (b - a) * t for a, b in pairwise(corners)]
    return np.vstack([*sides, corners[-1:]])


def _rotation(angle: float) -> NDArray[np.float64]:
    return np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


# Rotations and reflections, each with the digits that it turns into non-digits. The other digits still look like a
# digit.
_TURNS: tuple[tuple[Callable[[Tensor], Tensor], tuple[int, ...]], ...] = (
    (lambda frames: frames.rot90(1, (1, 2)), (2, 3, 4, 5)),
    (lambda frames: frames.rot90(-1, (1, 2)), (2, 3, 4, 5)),
    (lambda frames: frames.flip(2), (3, 7, 9)),
    (lambda frames: frames.flip(1), (4, 7)),
    (lambda frames: frames.rot90(2, (1, 2)), (3, 4)),
)


def turned_digits(count: int, frames: Tensor, labels: Tensor) -> Tensor:
    """At most `count` rotated or mirrored digits that no longer look like digits, uint8 `[N, 28, 28]`."""
    turned = [turn(frames[torch.isin(labels, labels.new_tensor(digits))]) for turn, digits in _TURNS]
    candidates = torch.cat(turned)
    sample = candidates[torch.randperm(len(candidates))[:count]]
    return sample[~look_like_digits(sample, frames)] if len(sample) else sample


def digit_rows(frames: Tensor) -> Tensor:
    """Two or three digits side by side, scaled to one frame, `[N, 28, 28]` from digits `[N, 28, 28]`."""
    middle = frames[:, :, 4:24].float()
    pair = torch.cat([middle, middle.roll(1, dims=0)], dim=2)
    triple = torch.cat([pair, middle.roll(2, dims=0)], dim=2)
    half = len(frames) * 2 // 3
    return torch.cat([_fit_wide(pair[:half]), _fit_wide(triple[half:])])


def _fit_wide(row: Tensor) -> Tensor:
    height = round(FRAME_SIZE * FRAME_SIZE / row.shape[2])
    small = F.interpolate(row.unsqueeze(1), size=(height, FRAME_SIZE), mode="bilinear", antialias=True).squeeze(1)
    above = (FRAME_SIZE - height) // 2
    return F.pad(small, (0, 0, above, FRAME_SIZE - height - above))


def cropped_digits(frames: Tensor) -> Tensor:
    """The middle rows of 0s, 3s and 8s, `[N, 28, 28]`; those of most other digits may look like a 1."""
    crops = torch.zeros_like(frames)
    crops[:, 10:18] = frames[:, 10:18]
    return crops


def textures(count: int, device: torch.device) -> Tensor:
    """Noise, blots and gradients in 0..1, as in photographs without writing, `[count, 28, 28]`."""
    fine = torch.rand(count, 1, FRAME_SIZE, FRAME_SIZE, device=device)
    size = int(torch.randint(3, 12, ()))
    coarse = F.interpolate(
        torch.rand(count, 1, size, size, device=device), size=(FRAME_SIZE, FRAME_SIZE), mode="bicubic"
    )
    sparse = (fine < torch.rand(count, 1, 1, 1, device=device) * 0.3).float()
    blots = ((coarse - torch.empty(count, 1, 1, 1, device=device).uniform_(0.3, 0.8)) * 6).clamp(0, 1)
    kind = torch.randint(0, 5, (count, 1, 1, 1), device=device)
    picture = torch.where(kind == 0, fine, torch.where(kind == 1, coarse, torch.where(kind == 2, sparse, blots)))
    return picture.squeeze(1).clamp(0, 1)
