"""Other ways to write a digit: the flag and foot of the European 1, the crossbar and serif of the European 7.

MNIST's writers hardly knew them. Lines are drawn by their distance from each pixel, on the whole batch at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model import FRAME_SIZE

_INKED = 0.3  # a row or column with less ink than this, in any pixel, is empty


def rewrite(frames: Tensor, labels: Tensor) -> Tensor:
    """Give some of the 1s a flag, a foot or both, and some of the 7s a crossbar or a serif. Frames `[N, 28, 28]`."""
    for digit, add_lines in ((1, _add_flag_and_foot), (7, _add_crossbar_and_serif)):
        rows = (labels == digit).nonzero().squeeze(1)
        if len(rows):
            frames = frames.index_copy(0, rows, add_lines(frames[rows]))
    return frames


def _add_flag_and_foot(frames: Tensor) -> Tensor:
    """Half of the 1s get a flag down to the left from their top, some a foot across their bottom."""
    n = len(frames)
    top, bottom = _first_row(frames), FRAME_SIZE - 1 - _first_row(frames.flip(1))
    top_x, bottom_x = _row_centre(frames, top), _row_centre(frames, bottom)
    height = (bottom - top).clamp(min=1)
    # The flag may be a tick or, as in Switzerland, come down two thirds of the stem.
    length = height * _uniform(n, 0.15, 0.65)
    slope = torch.deg2rad(_uniform(n, 25, 65))
    flag = torch.stack([top_x, top, top_x - length * torch.sin(slope), top + length * torch.cos(slope)])
    frames = _stroke(frames, flag, _chosen(n, 0.5))
    left, right = height * _uniform(n, 0.15, 0.4), height * _uniform(n, 0.15, 0.4)
    tilt = height * _uniform(n, -0.06, 0.06)
    foot = torch.stack([bottom_x - left, bottom + tilt, bottom_x + right, bottom - tilt])
    return _stroke(frames, foot, _chosen(n, 0.2))


def _add_crossbar_and_serif(frames: Tensor) -> Tensor:
    """Half of the 7s get a bar through the stem, some a serif down from the left end of the roof."""
    n = len(frames)
    top, bottom = _first_row(frames), FRAME_SIZE - 1 - _first_row(frames.flip(1))
    height = (bottom - top).clamp(min=1)
    middle = top + height * _uniform(n, 0.42, 0.65)
    stem = _row_centre(frames, middle.round())
    left, right = height * _uniform(n, 0.15, 0.35), height * _uniform(n, 0.1, 0.3)
    tilt = height * _uniform(n, -0.08, 0.12)
    bar = torch.stack([stem - left, middle + tilt, stem + right, middle - tilt])
    frames = _stroke(frames, bar, _chosen(n, 0.45))
    left_x = _first_row(frames.mT)
    left_y = _row_centre(frames.mT, left_x)
    length = height * _uniform(n, 0.08, 0.22)
    serif = torch.stack([left_x + 1, left_y, left_x + 1 - 0.3 * length, left_y + length])
    # Only where the leftmost ink is the roof's end, not the foot of a slanted stem.
    return _stroke(frames, serif, _chosen(n, 0.25) & (left_y < top + 0.35 * height))


def _uniform(n: int, low: float, high: float) -> Tensor:
    return torch.empty(n).uniform_(low, high)


def _chosen(n: int, share: float) -> Tensor:
    return torch.rand(n) < share


def _first_row(frames: Tensor) -> Tensor:
    """Index of the first row with ink, as float `[N]`."""
    return (frames.amax(2) > _INKED).float().argmax(1).float()


def _row_centre(frames: Tensor, rows: Tensor) -> Tensor:
    """Where along x the ink of one row per sample is centred, `[N]`."""
    index = rows.long().clamp(0, FRAME_SIZE - 1)[:, None, None].expand(-1, 1, FRAME_SIZE)
    ink = frames.gather(1, index).squeeze(1)
    axis = torch.arange(FRAME_SIZE, device=frames.device, dtype=frames.dtype)
    return (ink * axis).sum(1) / ink.sum(1).clamp(min=1e-6)


def _stroke(frames: Tensor, ends: Tensor, where: Tensor) -> Tensor:
    """Draw one line per sample, `ends` = x0, y0, x1, y1 `[4, N]`, as wide as the digit's own, where `where` holds."""
    x0, y0, x1, y1 = (value[:, None, None] for value in ends)
    axis = torch.arange(FRAME_SIZE, device=frames.device, dtype=frames.dtype)
    x, y = axis[None, None, :], axis[None, :, None]
    dx, dy = x1 - x0, y1 - y0
    along = (((x - x0) * dx + (y - y0) * dy) / (dx**2 + dy**2).clamp(min=1e-6)).clamp(0, 1)
    distance = torch.hypot(x - x0 - along * dx, y - y0 - along * dy)
    line = (_half_width(frames)[:, None, None] + 0.5 - distance).clamp(0, 1)
    return torch.where(where[:, None, None], torch.maximum(frames, line), frames)


def _half_width(frames: Tensor) -> Tensor:
    """Half the stroke width `[N]`, about: ink per row of a digit that is mostly one stem or two."""
    rows_with_ink = (frames.amax(2) > _INKED).sum(1).clamp(min=1)
    columns_with_ink = (frames.amax(1) > _INKED).sum(1).clamp(min=1)
    longest = torch.hypot(rows_with_ink.float(), columns_with_ink.float())
    return (frames.sum((1, 2)) / longest / 2).clamp(0.7, 1.8)
