"""Composed pictures: training digits on paper with lines, shadows, fog and neighbours, and empty paper.

The front end finds several candidates for the digit in a picture (`recognition.normalize`). Of a composed picture it is
known which ones show the digit, so that a network can learn to choose:

    composed = compose(digits, 10_000, 0, Path("data/cache"))
    composed.wrong                         # uint8 [M, 28, 28], candidates that show something else
    composed.right, composed.source        # uint8 [N, 28, 28], those that show the digit, and its index in `digits`
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

import recognition
from recognition.errors import BlankInput
from recognition.ink import Picture
from recognition.normalize import find_candidates
from training.datasets import Composed, Digits
from training.datasets.folder import cached_arrays
from training.datasets.frames import FrameArray, stack_frames, to_uint8
from training.nondigits import look_like_digits

# Correlation of a candidate with the frame that the picture was composed of. Between the two bounds it is neither
# clearly the digit nor clearly something else, and is left out.
_RIGHT, _WRONG = 0.85, 0.6
_EMPTY = 0.2  # share of the pictures without a digit
_FRAME_SIZED = 0.25  # share of the pictures of 28x28 pixels, the others have 56 to 160 a side

_CHUNK = 500  # pictures that a process makes at a time


def compose(digits: Digits, count: int, seed: int, cache: Path) -> Composed:
    """The candidates of `count` composed pictures, made in 20 ms each, or read from the folder `cache`."""
    frames = digits.frames.cpu().numpy()
    identity = hashlib.sha256(f"{count} {seed}".encode())
    # Any of these may change the candidates.
    for path in (Path(__file__), *sorted(Path(recognition.__file__).parent.glob("*.py"))):
        identity.update(path.read_bytes())
    identity.update(frames.tobytes())
    arrays = cached_arrays(
        cache / f"composed-{identity.hexdigest()[:24]}.npz", lambda: _compose_all(frames, count, seed)
    )
    wrong, right, source = (torch.from_numpy(array) for array in arrays)
    # A neighbour may be whole, and what is left of a digit may be another.
    return Composed(wrong[~look_like_digits(wrong, digits.frames.cpu())], right, source)


def _compose_all(frames: FrameArray, count: int, seed: int) -> tuple[FrameArray, FrameArray, NDArray[np.int64]]:
    """Candidates that show something else, those that show the digit, and its index in `frames`."""
    tasks = []
    for number, start in enumerate(range(0, count, _CHUNK)):
        rng = np.random.default_rng([seed, number])
        index, beside = rng.integers(len(frames), size=(2, min(_CHUNK, count - start)))
        tasks.append((index, frames[index], frames[beside], rng))
    if len(tasks) == 1:
        chunks = [_compose_chunk(*tasks[0])]
    else:  # spawned, because neither PyTorch's nor OpenCV's threads survive a fork
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            chunks = list(pool.map(_compose_chunk, *zip(*tasks, strict=True)))
    wrong, right, source = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    return wrong, right, source


def _compose_chunk(
    indices: NDArray[np.int64], digits: FrameArray, neighbours: FrameArray, rng: Generator
) -> tuple[FrameArray, FrameArray, NDArray[np.int64]]:
    cv2.setNumThreads(1)
    wrong, right, source = [], [], []
    for index, digit, neighbour in zip(indices.tolist(), digits, neighbours, strict=True):
        is_empty = rng.random() < _EMPTY
        picture = _compose(None if is_empty else digit, neighbour, rng)
        for frame in _candidates(picture):
            similarity = 0.0 if is_empty else _correlation(frame, digit)
            if similarity < _WRONG:
                wrong.append(frame)
            elif similarity > _RIGHT:
                right.append(frame)
                source.append(index)
    return stack_frames(wrong).numpy(), stack_frames(right).numpy(), np.array(source, np.int64)


def _candidates(picture: Picture) -> list[NDArray[np.uint8]]:
    try:
        return [to_uint8(candidate.frame) for candidate in find_candidates(picture)]
    except BlankInput:
        return []


def _correlation(frame: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Correlation of two frames, blurred, so that the width of the pen matters less, and moved by up to two pixels."""
    blurred, template = (cv2.GaussianBlur(each.astype(np.float32), (0, 0), 1.0) for each in (frame, other))
    return float(cv2.matchTemplate(blurred, template[2:-2, 2:-2], cv2.TM_CCOEFF_NORMED).max())


def _compose(digit: NDArray[np.uint8] | None, neighbour: NDArray[np.uint8], rng: Generator) -> Picture:
    """A picture `[H, W]` in 0..1 of a digit, or of empty paper."""
    side = 28 if rng.random() < _FRAME_SIZED else int(rng.integers(56, 161))
    ink = np.zeros((side, side), np.float32)
    if digit is not None:
        ink = _place(digit, side, rng.uniform(0.7, 1.3), rng.normal(0, 0.06, 2), rng)
        if rng.random() < 0.25:
            beside = rng.choice([-1, 1]) * rng.uniform(0.6, 0.85)
            ink = np.maximum(ink, _place(neighbour, side, rng.uniform(0.8, 1.2), (beside, rng.normal(0, 0.1)), rng))
    marks: list[tuple[float, Callable[[int, Generator], Picture]]] = [(0.35, _border), (0.2, _ruling), (0.12, _specks)]
    for p, make in marks:
        if rng.random() < p:
            ink = np.maximum(ink, make(side, rng))
    return _photograph(ink, rng)


def _place(
    frame: NDArray[np.uint8], side: int, size: float, offset: Sequence[float] | NDArray[np.float64], rng: Generator
) -> Picture:
    """Crisp ink of a frame, enlarged to `size` of the side and moved by `offset` of it."""
    scale = size * side / 28
    middle = np.array([14.0, 14.0])
    shift = np.array([side / 2, side / 2]) + np.asarray(offset) * side - middle * scale
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    large = cv2.warpAffine(frame.astype(np.float32) / 255, matrix, (side, side), flags=cv2.INTER_CUBIC)
    crisp: Picture = np.clip((large - 0.5) * rng.uniform(1, 2.5) + 0.5, 0, 1) * np.float32(rng.uniform(0.7, 1))
    return crisp


def _line(side: int, start: Sequence[float], end: Sequence[float], width: int) -> Picture:
    canvas = np.zeros((side, side), np.float32)
    points = [tuple(round(value * 256) for value in point) for point in (start, end)]
    cv2.line(canvas, points[0], points[1], 1.0, width, cv2.LINE_AA, 8)
    return canvas


def _border(side: int, rng: Generator) -> Picture:
    """Pieces of a printed frame along one to four sides."""
    ink = np.zeros((side, side), np.float32)
    for edge in rng.permutation(4)[: rng.integers(1, 5)]:
        near = side * rng.uniform(-0.01, 0.1)
        a, b = near + side * rng.normal(0, 0.015, 2)
        low, high = (0, side) if rng.random() < 0.7 else sorted(rng.uniform(0, side, 2))
        ends = [(low, a), (high, b)]
        if edge % 2:
            ends = [(side - x, side - y) for x, y in ends]
        if edge >= 2:
            ends = [(y, x) for x, y in ends]
        ink = np.maximum(ink, _line(side, ends[0], ends[1], 1 + int(side * rng.uniform(0, 0.05))))
    return ink * np.float32(rng.uniform(0.3, 1))


def _ruling(side: int, rng: Generator) -> Picture:
    """Ruled or grid paper, paler than ink."""
    ink = np.zeros((side, side), np.float32)
    period, slope = side * rng.uniform(0.15, 0.6), rng.normal(0, 0.02)
    for y in np.arange(rng.uniform(0, period), side, period):
        ink = np.maximum(ink, _line(side, (0, y), (side, y + slope * side), 1 + side // 100))
    if rng.random() < 0.5:
        ink = np.maximum(ink, ink.T)
    return ink * np.float32(rng.uniform(0.1, 0.7))


def _specks(side: int, rng: Generator) -> Picture:
    """Dust, dots and short strokes."""
    ink = np.zeros((side, side), np.float32)
    for _ in range(rng.integers(1, 8)):
        start = rng.uniform(0, side, 2)
        end = start + rng.normal(0, 0.03 * side, 2)
        ink = np.maximum(ink, _line(side, start.tolist(), end.tolist(), 1 + int(rng.uniform(0, 0.03) * side)))
    return ink * np.float32(rng.uniform(0.3, 1))


def _photograph(ink: Picture, rng: Generator) -> Picture:
    """Paper, light and camera: gradients, shadows with edges, fog, blur, grain; or a clean scan."""
    side = len(ink)
    paper, darkest = rng.uniform(0.6, 1), rng.uniform(0.0, 0.45)
    picture: NDArray[np.floating[Any]] = 1 - ink
    if rng.random() >= 0.25:
        light = _slope(side, rng) * np.float32(rng.uniform(0, 0.3)) + np.float32(1)
        if rng.random() < 0.25:
            edge = np.clip(_slope(side, rng) * np.float32(side * rng.choice([0.1, 0.5])) + 0.5, 0, 1)
            light = light * (1 - np.float32(rng.uniform(0.15, 0.6)) * edge)
        picture = paper * light * (1 - ink * np.float32(1 - darkest))
        if rng.random() < 0.2:
            picture = _add_fog(picture, rng)
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), side / 28 * rng.uniform(0.2, 0.9))
    if rng.random() < 0.6:
        picture = picture + rng.normal(0, rng.uniform(0, 0.05), ink.shape)
    final: Picture = np.clip(picture, 0, 1).astype(np.float32)
    return 1 - final if rng.random() < 0.35 else final


def _slope(side: int, rng: Generator) -> Picture:
    """A plane from about -1 to 1 across the picture, in any direction and off the middle."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    plane: Picture = axis * np.float32(np.cos(angle)) + axis[:, None] * np.float32(np.sin(angle))
    return plane + np.float32(rng.uniform(-0.5, 0.5))


def _add_fog(picture: NDArray[np.floating[Any]], rng: Generator) -> NDArray[np.floating[Any]]:
    """Bright or dark clouds, through which the ink is pale."""
    clouds = sum(
        2.0**-octave
        * cv2.resize(rng.random((2**octave + 1,) * 2, dtype=np.float32), picture.shape, interpolation=cv2.INTER_CUBIC)
        for octave in range(1, 5)
    )
    clouds = (clouds - clouds.min()) / np.ptp(clouds)
    share = np.float32(rng.uniform(0.2, 0.7))
    fogged: NDArray[np.floating[Any]] = picture * (1 - share) + clouds * share
    return fogged
