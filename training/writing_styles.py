"""Writing styles that are rare in MNIST, whose writers were American.

The flag and foot of the European 1, the crossbar and serif of the European 7, the 4 whose bar stops at the stem, the 9
with an open loop. Lines and gaps are rendered by their distance from each pixel, on the whole batch at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model_file import FRAME_SIZE
from training.random import bernoulli, uniform

_INKED = 0.3  # a row or column is empty if all its pixels have less ink than this


def vary_writing_style(frames: Tensor, labels: Tensor) -> Tensor:
    """Change the style of some 1s, 4s, 7s and 9s among frames `[N, 28, 28]` with labels `[N]`."""
    styles = ((1, _add_flag_and_foot), (4, _stop_bar_at_stem), (7, _add_crossbar_and_serif), (9, _open_loop))
    for digit, restyle in styles:
        rows = (labels == digit).nonzero().squeeze(1)
        if len(rows):
            frames = frames.index_copy(0, rows, restyle(frames[rows]))
    return frames


def _add_flag_and_foot(frames: Tensor) -> Tensor:
    """40 % of the 1s get a flag from the top down to the left, 20 % a foot across the bottom."""
    top, bottom = _first_row(frames), FRAME_SIZE - 1 - _first_row(frames.flip(1))
    top_x, bottom_x = _row_centre(frames, top), _row_centre(frames, bottom)
    height = (bottom - top).clamp(min=1)
    # The flag is mostly short and sometimes, as in Switzerland, almost as long as the stem. It is steep: a flat one
    # would make the 1 a 7.
    length = height * (0.15 + 0.75 * uniform(frames, 0, 1) ** 1.5)
    slope = torch.deg2rad(uniform(frames, 25, 58))
    flag = torch.stack([top_x, top, top_x - length * torch.sin(slope), top + length * torch.cos(slope)])
    frames = _stroke(frames, flag, bernoulli(frames, 0.4))
    left, right = height * uniform(frames, 0.15, 0.4), height * uniform(frames, 0.15, 0.4)
    tilt = height * uniform(frames, -0.06, 0.06)
    foot = torch.stack([bottom_x - left, bottom + tilt, bottom_x + right, bottom - tilt])
    return _stroke(frames, foot, bernoulli(frames, 0.2))


def _add_crossbar_and_serif(frames: Tensor) -> Tensor:
    """45 % of the 7s get a bar through the stem, up to 25 % a serif at the left end of the top bar."""
    top, bottom = _first_row(frames), FRAME_SIZE - 1 - _first_row(frames.flip(1))
    height = (bottom - top).clamp(min=1)
    middle = top + height * uniform(frames, 0.4, 0.75)
    stem = _row_centre(frames, middle.round())
    left, right = height * uniform(frames, 0.15, 0.35), height * uniform(frames, 0.1, 0.3)
    tilt = height * uniform(frames, -0.08, 0.12)
    bar = torch.stack([stem - left, middle + tilt, stem + right, middle - tilt])
    frames = _stroke(frames, bar, bernoulli(frames, 0.45))
    left_x = _first_row(frames.mT)
    left_y = _row_centre(frames.mT, left_x)
    length = height * uniform(frames, 0.08, 0.22)
    serif = torch.stack([left_x + 1, left_y, left_x + 1 - 0.3 * length, left_y + length])
    # Only where the leftmost ink is the end of the top bar, not the foot of a slanted stem.
    return _stroke(frames, serif, bernoulli(frames, 0.25) & (left_y < top + 0.35 * height))


def _stop_bar_at_stem(frames: Tensor) -> Tensor:
    """A third of the 4s lose the part of their bar beyond the stem."""
    bottom = FRAME_SIZE - 1 - _first_row(frames.flip(1))
    top = _first_row(frames)
    axis = torch.arange(FRAME_SIZE, device=frames.device, dtype=frames.dtype)
    near_top = (axis[None, :] - top[:, None] < 5)[:, :, None]
    # The stem runs from the rightmost ink near the top to the lowest ink.
    top_x = FRAME_SIZE - 1 - _first_row((frames * near_top).mT.flip(1)) - _half_width(frames)
    bottom_x = _row_centre(frames, bottom)
    share = (axis[None, :] - top[:, None]) / (bottom - top).clamp(min=1)[:, None]
    stem = top_x[:, None] + share * (bottom_x - top_x)[:, None]
    beyond = axis[None, None, :] > (stem + _half_width(frames)[:, None] + 0.5)[:, :, None]
    beyond &= ((share > 0.3) & (share < 0.85))[:, :, None]
    return torch.where(beyond & bernoulli(frames, 0.33)[:, None, None], 0.0, frames)


def _open_loop(frames: Tensor) -> Tensor:
    """25 % of the 9s get a gap at the upper right, where the loop meets the stem."""
    top, bottom = _first_row(frames), FRAME_SIZE - 1 - _first_row(frames.flip(1))
    right = FRAME_SIZE - 1 - _first_row(frames.mT.flip(1))
    x = right - uniform(frames, 0.5, 3.0)
    y = top + (bottom - top) * uniform(frames, 0.0, 0.3)
    opened = erase_disc(frames, x, y, uniform(frames, 1.2, 2.8))
    return torch.where(bernoulli(frames, 0.25)[:, None, None], opened, frames)


def erase_disc(frames: Tensor, x: Tensor, y: Tensor, radius: Tensor) -> Tensor:
    """Frames without the ink of a disc; its centre and radius are `[N]`, in pixels."""
    axis = torch.arange(FRAME_SIZE, device=frames.device, dtype=frames.dtype)
    distance = torch.hypot(axis[None, None, :] - x[:, None, None], axis[None, :, None] - y[:, None, None])
    return frames * (1 - (radius[:, None, None] + 0.5 - distance).clamp(0, 1))


def _first_row(frames: Tensor) -> Tensor:
    """Index of the first row with ink, as float `[N]`."""
    return (frames.amax(2) > _INKED).float().argmax(1).float()


def _row_centre(frames: Tensor, rows: Tensor) -> Tensor:
    """Centre of mass along x of one row per sample, `[N]`."""
    index = rows.long().clamp(0, FRAME_SIZE - 1)[:, None, None].expand(-1, 1, FRAME_SIZE)
    ink = frames.gather(1, index).squeeze(1)
    axis = torch.arange(FRAME_SIZE, device=frames.device, dtype=frames.dtype)
    return (ink * axis).sum(1) / ink.sum(1).clamp(min=1e-6)


def _stroke(frames: Tensor, ends: Tensor, where: Tensor) -> Tensor:
    """Draw a line as wide as the digit's own where `where` `[N]` is true; `ends` `[4, N]` are x0, y0, x1, y1."""
    x0, y0, x1, y1 = (value[:, None, None] for value in ends)
    axis = torch.arange(FRAME_SIZE, device=frames.device, dtype=frames.dtype)
    x, y = axis[None, None, :], axis[None, :, None]
    dx, dy = x1 - x0, y1 - y0
    along = (((x - x0) * dx + (y - y0) * dy) / (dx**2 + dy**2).clamp(min=1e-6)).clamp(0, 1)
    distance = torch.hypot(x - x0 - along * dx, y - y0 - along * dy)
    line = (_half_width(frames)[:, None, None] + 0.5 - distance).clamp(0, 1)
    return torch.where(where[:, None, None], torch.maximum(frames, line), frames)


def _half_width(frames: Tensor) -> Tensor:
    """About half the stroke width `[N]`: the ink by the diagonal of its bounding box."""
    rows_with_ink = (frames.amax(2) > _INKED).sum(1).clamp(min=1)
    columns_with_ink = (frames.amax(1) > _INKED).sum(1).clamp(min=1)
    longest = torch.hypot(rows_with_ink.float(), columns_with_ink.float())
    return (frames.sum((1, 2)) / longest / 2).clamp(0.7, 1.8)
