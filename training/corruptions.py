"""Fifteen corruptions of digit frames, in the manner of MNIST-C (Mu and Gilmer 2019, arXiv:1906.02337).

    frames = CORRUPTIONS["fog"](frames, np.random.default_rng(0))     # float32 [N, 28, 28] in 0..1, ink = 1

The severities are MNIST-C's. They are for evaluation only (`evaluate_model.py --data corrupted-mnist`): no network is
trained on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Frames = NDArray[np.float32]
Corruption = Callable[[Frames, Generator], Frames]

_SIDE = 28
_MIDDLE = (_SIDE - 1) / 2


def shot_noise(frames: Frames, rng: Generator) -> Frames:
    """Poisson noise of at most three photons a pixel."""
    return _clip(rng.poisson(frames * 3.0) / 3.0)


def impulse_noise(frames: Frames, rng: Generator) -> Frames:
    """17 % of the pixels black or white."""
    hit = rng.random(frames.shape)
    return np.where(hit < 0.085, 0.0, np.where(hit > 0.915, 1.0, frames)).astype(np.float32)


def glass_blur(frames: Frames, rng: Generator) -> Frames:
    """Half of the pixels exchanged with a neighbour, twice, between two Gaussian blurs."""
    blurred = _each(frames, lambda frame: cv2.GaussianBlur(frame, (0, 0), 0.7))
    rows, columns = np.meshgrid(np.arange(_SIDE), np.arange(_SIDE), indexing="ij")
    for _ in range(2):
        shift = rng.integers(-1, 1, (2, *frames.shape)) * (rng.random(frames.shape) < 0.5)
        index = np.arange(len(frames))[:, None, None]
        blurred = blurred[index, (rows + shift[0]).clip(0, _SIDE - 1), (columns + shift[1]).clip(0, _SIDE - 1)]
    return _each(blurred, lambda frame: cv2.GaussianBlur(frame, (0, 0), 0.7))


def motion_blur(frames: Frames, rng: Generator) -> Frames:
    """A camera that moved by seven pixels, within 45 degrees of horizontally."""

    def smear(frame: Frames) -> Frames:
        angle = rng.uniform(-math.pi / 4, math.pi / 4)
        kernel = np.zeros((9, 9), np.float32)
        end = np.array([math.cos(angle), math.sin(angle)]) * 3.5
        # OpenCV takes coordinates as integers of eight binary places here.
        points = [tuple(round((4 + sign * c) * 256) for c in end) for sign in (-1, 1)]
        cv2.line(kernel, points[0], points[1], 1.0, 1, cv2.LINE_8, 8)
        smeared: Frames = cv2.filter2D(frame, -1, kernel / kernel.sum())
        return smeared

    return _each(frames, smear)


def shear(frames: Frames, rng: Generator) -> Frames:
    """Sheared by 0.4 pixels a row, to either side."""
    return _warp(frames, lambda: np.array([[1, rng.choice([-0.4, 0.4])], [0, 1]]))


def scale(frames: Frames, _random: Generator) -> Frames:
    """Scaled by 0.7."""
    return _warp(frames, lambda: np.eye(2) * 0.7)


def rotate(frames: Frames, rng: Generator) -> Frames:
    """Rotated by 0.4 radians, to either side."""

    def turn() -> NDArray[np.float64]:
        angle = 0.4 * rng.choice([-1, 1])
        return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    return _warp(frames, turn)


def brightness(frames: Frames, _random: Generator) -> Frames:
    """Brighter by half of the range."""
    return _clip(frames + 0.5)


def translate(frames: Frames, rng: Generator) -> Frames:
    """Moved by three pixels along both axes."""
    moves = rng.choice([-3, 3], (len(frames), 2))
    matrices = [np.array([[1, 0, dx], [0, 1, dy]], np.float64) for dx, dy in moves]
    return _clip(np.stack([cv2.warpAffine(f, m, (_SIDE, _SIDE)) for f, m in zip(frames, matrices, strict=True)]))


def stripe(frames: Frames, _random: Generator) -> Frames:
    """Inverted in the left and the right quarter."""
    striped = frames.copy()
    striped[:, :, :7] = 1 - striped[:, :, :7]
    striped[:, :, 21:] = 1 - striped[:, :, 21:]
    return striped


def fog(frames: Frames, rng: Generator) -> Frames:
    """Clouds three times as bright as the ink."""
    clouds = np.zeros_like(frames)
    for octave in range(5):
        coarse = rng.random((len(frames), 2**octave + 1, 2**octave + 1)).astype(np.float32)
        # Each octave is weaker by 1.4, as in the midpoint displacement algorithm.
        clouds += 1.4**-octave * np.stack([cv2.resize(one, (_SIDE, _SIDE)) for one in coarse])
    low, high = clouds.min((1, 2), keepdims=True), clouds.max((1, 2), keepdims=True)
    return _clip((frames + 3.0 * (clouds - low) / (high - low)) / 4.0)


def spatter(frames: Frames, rng: Generator) -> Frames:
    """Drops of grey mud, on paper and ink alike."""
    field = rng.normal(0.65, 0.3, frames.shape).astype(np.float32)
    wet = (_each(field, lambda one: cv2.GaussianBlur(one, (0, 0), 1.0)) > 0.65).astype(np.float32)
    mud = _each(wet, lambda one: cv2.GaussianBlur(one, (0, 0), 1.5))
    mud[mud < 0.8] = 0
    return _clip(frames * (1 - mud) + mud * 63 / 255)


def dotted_line(frames: Frames, rng: Generator) -> Frames:
    """A line of dots from the left to the right border."""

    def dot(frame: Frames) -> Frames:
        line = _line((0, rng.uniform(0, 27)), (27, rng.uniform(0, 27)))
        line[:, np.arange(_SIDE) % 4 < 2] = 0
        return np.maximum(frame, line)

    return _each(frames, dot)


def zigzag(frames: Frames, rng: Generator) -> Frames:
    """A zigzag line, two pixels high to either side, from left to right."""

    def draw(frame: Frames) -> Frames:
        start = np.array([2.0, rng.uniform(0, 27)])
        end = np.array([25.0, start[1] + rng.uniform(-5, 5)])
        normal = np.array([start[1] - end[1], end[0] - start[0]]) / np.linalg.norm(end - start)
        places, sides = np.linspace(0, 1, 13)[:, None], (np.arange(13) % 2 * 2 - 1)[:, None]
        corners = start + (end - start) * places + 2.0 * normal * sides
        for a, b in pairwise(corners):
            frame = np.maximum(frame, _line(a, b))
        return frame

    return _each(frames, draw)


def canny_edges(frames: Frames, _random: Generator) -> Frames:
    """Canny edges."""
    grey = (frames * 255).astype(np.uint8)
    return _clip(np.stack([cv2.Canny(frame, 50, 100) for frame in grey]) / 255)


CORRUPTIONS: Mapping[str, Corruption] = {
    corruption.__name__: corruption
    for corruption in (
        shot_noise,
        impulse_noise,
        glass_blur,
        motion_blur,
        shear,
        scale,
        rotate,
        brightness,
        translate,
        stripe,
        fog,
        spatter,
        dotted_line,
        zigzag,
        canny_edges,
    )
}


def _clip(values: NDArray[np.floating[Any]]) -> Frames:
    clipped: Frames = np.clip(values, 0, 1).astype(np.float32)
    return clipped


def _each(frames: Frames, change: Callable[[Frames], Frames]) -> Frames:
    changed: Frames = np.stack([change(frame) for frame in frames])
    return changed


def _warp(frames: Frames, matrix: Callable[[], NDArray[np.float64]]) -> Frames:
    """Each frame under its own linear map about the centre."""

    def warp(frame: Frames) -> Frames:
        linear = matrix()
        middle = np.full(2, _MIDDLE)
        moved: Frames = cv2.warpAffine(frame, np.column_stack([linear, middle - linear @ middle]), (_SIDE, _SIDE))
        return moved

    return _each(frames, warp)


def _line(start: Sequence[float] | NDArray[np.float64], end: Sequence[float] | NDArray[np.float64]) -> Frames:
    """A line about three pixels wide with soft edges, `[28, 28]`."""
    (x0, y0), (x1, y1) = start, end
    axis = np.arange(_SIDE)
    x, y = axis[None, :], axis[:, None]
    dx, dy = x1 - x0, y1 - y0
    along = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx**2 + dy**2), 0, 1)
    distance = np.hypot(x - x0 - along * dx, y - y0 - along * dy)
    return _clip(1 - distance / 1.6)
