"""Frames as data sets hold them: uint8 `[28, 28]`, 0 = paper, 255 = ink."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from config import Limits
from model_file import FRAME_SIZE
from recognition.normalize import normalize
from recognition.picture import decode_picture

FrameArray = NDArray[np.uint8]  # [28, 28] or [N, 28, 28]


def to_uint8(frames: NDArray[np.float32]) -> FrameArray:
    """Frames in 0..1 as uint8."""
    return np.round(frames * 255).astype(np.uint8)


def load_frame(data: bytes, limits: Limits) -> FrameArray:
    """The frame of a picture file, normalized as in serving. Raises `InputError`."""
    return to_uint8(normalize(decode_picture(data, limits)))


def normalize_scans(scans: NDArray[np.float32]) -> FrameArray:
    """Frames of scans `[N, H, W]` in 0..1 that are cropped to the ink. Raises `BlankInput`."""
    # normalize needs a margin to tell paper from ink.
    padded = np.pad(scans, ((0, 0), (4, 4), (4, 4)))
    return to_uint8(np.stack([normalize(scan) for scan in padded]))


def stack_frames(frames: Sequence[FrameArray]) -> Tensor:
    """Frames `[28, 28]` as one tensor `[N, 28, 28]`; there may be none."""
    return torch.from_numpy(np.stack(frames)) if frames else torch.empty(0, FRAME_SIZE, FRAME_SIZE, dtype=torch.uint8)
