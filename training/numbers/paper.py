"""The paper under composed numbers: print, ruling, light and camera."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.float32]
Grid = tuple[Array, Array]  # y and x of each pixel, [H, W]


def photograph(ink: NDArray[np.uint8], rng: Generator, *, is_clean: bool) -> Array:
    """A picture `[H, W]`, 0 = white, 1 = black, of ink uint8 `[H, W]` on paper; a clean one is as drawn on a screen."""
    amount = ink.astype(np.float32) / np.float32(255)
    if is_clean:
        clean: Array = amount * np.float32(rng.uniform(0.7, 1))
        return clean
    amount = _fade(amount, rng)
    print_ = _print(ink.shape, rng)
    frame = _rules(ink.shape, rng)
    paper = np.float32(rng.uniform(0.5, 1)) * _light(ink.shape, rng)
    darkest = rng.uniform(0, 0.5)
    picture = paper * (1 - print_) * (1 - frame) * (1 - amount * np.float32(1 - darkest))
    return 1 - _camera(picture, rng)


def _grid(shape: tuple[int, ...]) -> Grid:
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    return y, x


def _fade(amount: Array, rng: Generator) -> Array:
    """A pen that presses unevenly, and a faint one."""
    if rng.random() < 0.5:
        amount = amount * np.float32(rng.uniform(0.35, 1))
    if rng.random() < 0.35:
        amount = amount * (1 - np.float32(rng.uniform(0.2, 0.7)) * _noise(amount.shape, int(rng.integers(4, 16)), rng))
    return amount


def _noise(shape: tuple[int, ...], cell: int, rng: Generator) -> Array:
    """Smooth noise in 0..1 with structures of `cell` pixels."""
    small = rng.random((max(2, shape[0] // cell + 2), max(2, shape[1] // cell + 2)), dtype=np.float32)
    smooth: Array = cv2.resize(small, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return smooth


# ---- print ----


def _print(shape: tuple[int, ...], rng: Generator) -> Array:
    """Security print, 0 to 1: one or two patterns of thin lines or dots."""
    total = np.zeros(shape, np.float32)
    for _ in range(rng.choice([0, 1, 2, 3], p=[0.3, 0.4, 0.2, 0.1])):
        pattern = _PATTERNS[rng.integers(len(_PATTERNS))](shape, rng)
        total = total + pattern * np.float32(rng.uniform(0.04, 0.3))
    if rng.random() < 0.3:
        total = total * _noise(shape, int(rng.integers(20, 60)), rng)
    return np.clip(total, 0, 0.5)


def _stripes(phase: Array, rng: Generator) -> Array:
    """Lines where the phase, in radians, is a multiple of a turn."""
    sharp: Array = np.clip(np.sin(phase) * np.float32(rng.uniform(1, 3)) - np.float32(rng.uniform(-0.4, 1)), 0, 1)
    return sharp


def _waves(shape: tuple[int, ...], rng: Generator) -> Array:
    y, x = _grid(shape)
    period, length, height = rng.uniform(3, 12), rng.uniform(12, 120), rng.uniform(0, 12)
    return _stripes(
        (y + np.float32(height) * np.sin(x * np.float32(2 * np.pi / length) + np.float32(rng.uniform(0, 6))))
        * np.float32(2 * np.pi / period),
        rng,
    )


def _lines(shape: tuple[int, ...], rng: Generator) -> Array:
    y, x = _grid(shape)
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 14)
    return _stripes(
        (x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))) * np.float32(2 * np.pi / period), rng
    )


def _rings(shape: tuple[int, ...], rng: Generator) -> Array:
    y, x = _grid(shape)
    middle = rng.uniform(-1, 2, 2) * shape
    distance = np.hypot(y - np.float32(middle[0]), (x - np.float32(middle[1])) * np.float32(rng.uniform(0.5, 1.5)))
    return _stripes(distance * np.float32(2 * np.pi / rng.uniform(3, 12)), rng)


def _hatching(shape: tuple[int, ...], rng: Generator) -> Array:
    return np.maximum(_lines(shape, rng), _lines(shape, rng))


def _dots(shape: tuple[int, ...], rng: Generator) -> Array:
    y, x = _grid(shape)
    period = np.float32(2 * np.pi / rng.uniform(3, 10))
    dots: Array = np.clip(np.sin(x * period) * np.sin(y * period) * 2 - np.float32(rng.uniform(0, 1)), 0, 1)
    return dots


def _guilloche(shape: tuple[int, ...], rng: Generator) -> Array:
    y, x = _grid(shape)
    warp = _noise(shape, int(rng.integers(16, 60)), rng) * np.float32(rng.uniform(5, 40))
    return _stripes((x * np.float32(rng.uniform(-1, 1)) + y + warp) * np.float32(2 * np.pi / rng.uniform(3, 10)), rng)


_PATTERNS: tuple[Callable[[tuple[int, ...], Generator], Array], ...] = (
    _waves,
    _waves,
    _lines,
    _rings,
    _hatching,
    _dots,
    _guilloche,
)


# ---- ruling ----


def _rules(shape: tuple[int, ...], rng: Generator) -> Array:
    """Printed lines: a base line, boxes, grid paper, and what is left of a line of writing above or below."""
    height, width = shape
    canvas = np.zeros(shape, np.uint8)
    thickness = int(rng.integers(1, 4))

    def line(x0: float, y0: float, x1: float, y1: float) -> None:
        ends = [(round(x * 256), round(y * 256)) for x, y in ((x0, y0), (x1, y1))]
        cv2.line(canvas, ends[0], ends[1], 255, thickness, cv2.LINE_AA, 8)

    if rng.random() < 0.3:
        y, slope = height * rng.uniform(0.75, 1), rng.normal(0, 0.02) * width
        line(0, y, width, y + slope)
    if rng.random() < 0.2:
        for near in rng.permutation(4)[: rng.integers(1, 4)]:
            at = rng.uniform(0, 0.08)
            corners = [(0, at, 1, at), (0, 1 - at, 1, 1 - at), (at, 0, at, 1), (1 - at, 0, 1 - at, 1)][near]
            line(*(c * s for c, s in zip(corners, (width, height) * 2, strict=True)))
    if rng.random() < 0.1:
        period = height * rng.uniform(0.25, 1.2)
        for y in np.arange(rng.uniform(0, period), height, period):
            line(0, y, width, y)
        if rng.random() < 0.6:
            for x in np.arange(rng.uniform(0, period), width, period):
                line(x, 0, x, height)
    if rng.random() < 0.12:
        _stray_ink(canvas, rng, thickness)
    return canvas.astype(np.float32) * np.float32(rng.uniform(0.2, 0.9) / 255)


def _stray_ink(canvas: NDArray[np.uint8], rng: Generator, thickness: int) -> None:
    """Ends of strokes along the upper or lower border."""
    height, width = canvas.shape
    y = 0 if rng.random() < 0.5 else height
    for _ in range(rng.integers(1, 6)):
        x = rng.uniform(0, width)
        points = np.array([[x, y], [x, y], [x, y]]) + rng.normal(0, [[2, 1], [5, 5], [6, 2]])
        cv2.polylines(canvas, [np.round(points).astype(np.int32)], False, 255, thickness + 1, cv2.LINE_AA)


# ---- light and camera ----


def _light(shape: tuple[int, ...], rng: Generator) -> Array:
    light: Array = np.ones(shape, np.float32)
    if rng.random() < 0.5:
        y, x = _grid(shape)
        down, right = rng.normal(0, 0.12, 2).astype(np.float32)
        light = light + right * (x / np.float32(shape[1]) - 0.5) + down * (y / np.float32(shape[0]) - 0.5)
    if rng.random() < 0.25:
        clouds = _noise(shape, int(rng.integers(30, 90)), rng)
        light = light * (1 - np.float32(rng.uniform(0.05, 0.3)) * clouds)
    return light


def _camera(picture: Array, rng: Generator) -> Array:
    """Blur, low resolution, grain, and JPEG."""
    shape = picture.shape
    if rng.random() < 0.4:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.8))
    if rng.random() < 0.5:
        scale = rng.uniform(0.45, 1)
        size = [max(8, round(side * scale)) for side in reversed(shape)]
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.6:
        picture = picture + (rng.normal(size=picture.shape) * rng.uniform(0, 0.06)).astype(np.float32)
    samples: NDArray[Any] = (np.clip(picture, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.4:
        _, data = cv2.imencode(".jpg", samples, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])
        samples = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
    return samples.astype(np.float32) / np.float32(255)
