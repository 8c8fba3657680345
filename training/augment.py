"""Data augmentation: random distortions, computed on a whole batch with separate values per sample.

    augment = Augmentation(Distortions())
    frames = augment(frames, labels)         # float32 [N, 28, 28], 0 = paper, 1 = ink, on any device

A digit gets another writing style (`training.writing_styles`) and an affine and an elastic deformation, and is scaled
and centred as in recognition.frame. Then its strokes change, and blur, contrast and noise of a camera are added.
Some samples are only deformed slightly, so that digits like MNIST's remain common. Each distortion can be disabled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from model_file import FRAME_SIZE
from training.deformation import deform
from training.random import bernoulli, uniform
from training.writing_styles import erase_disc, vary_writing_style

_MILD_SHARE = 0.4  # of the samples are only deformed, about as much as MNIST's writers differ
_MILD_STRENGTH = 0.5


@dataclass(frozen=True, slots=True)
class Distortions:
    """Which distortions are enabled."""

    variants: bool = True  # writing styles that are rare in MNIST: flags, feet and crossbars
    affine: bool = True
    elastic: bool = True
    thickness: bool = True
    pressure: bool = True  # ink that fades along the stroke
    gaps: bool = True
    neighbours: bool = True  # parts of other digits at the border
    blur: bool = True
    low_resolution: bool = True
    contrast: bool = True
    noise: bool = True


NO_DISTORTIONS = Distortions(*[False] * 11)


class Augmentation:
    """Applies the distortions that are enabled."""

    def __init__(self, distortions: Distortions) -> None:
        self.enabled = distortions

    def __call__(self, frames: Tensor, labels: Tensor) -> Tensor:
        """Distort frames `[N, 28, 28]` with labels `[N]`, 10 for non-digits."""
        is_mild = bernoulli(frames, _MILD_SHARE)  # [N]
        if self.enabled.variants:
            frames = torch.where(is_mild[:, None, None], frames, vary_writing_style(frames, labels))
        strength = torch.where(is_mild, _MILD_STRENGTH, 1.0)
        deformed = deform(frames, strength, affine=self.enabled.affine, elastic=self.enabled.elastic)
        # The other distortions are computed only for the other rows.
        rows = (~is_mild).nonzero().squeeze(1)
        return deformed.index_copy(0, rows, self._render(deformed[rows])).clamp(0, 1)

    def _render(self, frames: Tensor) -> Tensor:
        """Another pen and another camera."""
        steps = {
            "thickness": change_thickness,
            "pressure": vary_pressure,
            "gaps": cut_gaps,
            "neighbours": add_neighbours,
            "low_resolution": lower_resolution,
            "blur": blur,
            "contrast": change_contrast,
            "noise": add_noise,
        }
        for name, distort in steps.items():
            if getattr(self.enabled, name):
                frames = distort(frames)
        return frames


def apply_to_some(frames: Tensor, p: float, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply `change` to each frame with probability `p`; it is not computed for the others."""
    rows = bernoulli(frames, p).nonzero().squeeze(1)
    return frames.index_copy(0, rows, change(frames[rows])) if len(rows) else frames


def mix(frames: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """Interpolate from `frames` to `other` by a weight per sample, `[N]`."""
    return torch.lerp(frames, other, weight[:, None, None])


def dilate(frames: Tensor) -> Tensor:
    """3x3 maximum filter, as maxima of shifted frames: far faster than max pooling on a CPU."""
    rows = frames.clone()
    torch.maximum(rows[:, 1:], frames[:, :-1], out=rows[:, 1:])
    torch.maximum(rows[:, :-1], frames[:, 1:], out=rows[:, :-1])
    both = rows.clone()
    torch.maximum(both[:, :, 1:], rows[:, :, :-1], out=both[:, :, 1:])
    torch.maximum(both[:, :, :-1], rows[:, :, 1:], out=both[:, :, :-1])
    return both


def change_thickness(frames: Tensor) -> Tensor:
    """A finer or a broader pen: partial erosion or dilation by a random amount."""
    amount = uniform(frames, -0.65, 1.0)
    is_finer = (amount < 0)[:, None, None]
    sign = torch.where(is_finer, -1.0, 1.0)  # erosion is the dilation of the negative
    frames = mix(frames, dilate(frames * sign) * sign, amount.abs())
    return apply_to_some(frames, 0.1, _broaden)


def _broaden(frames: Tensor) -> Tensor:
    return mix(frames, dilate(frames), uniform(frames, 0.3, 1.0))


def vary_pressure(frames: Tensor) -> Tensor:
    """Ink that fades along the stroke, in 30 % of the frames."""
    return apply_to_some(frames, 0.3, _fade)


def _fade(frames: Tensor) -> Tensor:
    coarse = torch.rand(len(frames), 1, 4, 4, device=frames.device)
    field = F.interpolate(coarse, size=(FRAME_SIZE, FRAME_SIZE), mode="bilinear", align_corners=True).squeeze(1)
    return frames * (1 - uniform(frames, 0.1, 0.7)[:, None, None] * field)


def cut_gaps(frames: Tensor) -> Tensor:
    """A small round gap, as of a pen that skips, in 20 % of the frames."""
    return apply_to_some(frames, 0.2, _cut_gap)


def _cut_gap(frames: Tensor) -> Tensor:
    return erase_disc(frames, uniform(frames, 6, 22), uniform(frames, 6, 22), uniform(frames, 0.8, 2.3))


def add_neighbours(frames: Tensor) -> Tensor:
    """The edge of another digit of the batch at one side, in 8 % of the frames."""
    return apply_to_some(frames, 0.08, _add_neighbour)


def _add_neighbour(frames: Tensor) -> Tensor:
    side = torch.randint(0, 4, (len(frames),), device=frames.device)
    distance = uniform(frames, 17, 21).round()
    dx = torch.where(side == 0, distance, torch.where(side == 1, -distance, uniform(frames, -6, 6)))
    dy = torch.where(side == 2, distance, torch.where(side == 3, -distance, uniform(frames, -6, 6)))
    theta = torch.zeros(len(frames), 2, 3, device=frames.device)
    theta[:, 0, 0] = theta[:, 1, 1] = 1
    theta[:, 0, 2], theta[:, 1, 2] = dx / (FRAME_SIZE / 2), dy / (FRAME_SIZE / 2)
    grid = F.affine_grid(theta, [len(frames), 1, FRAME_SIZE, FRAME_SIZE], align_corners=False)
    other = frames.roll(1, dims=0)
    return torch.maximum(frames, F.grid_sample(other.unsqueeze(1), grid, align_corners=False).squeeze(1))


def lower_resolution(frames: Tensor) -> Tensor:
    """Downsampling and upsampling, in 20 % of the frames."""
    return apply_to_some(frames, 0.2, _coarsen)


def _coarsen(frames: Tensor) -> Tensor:
    size = int(torch.randint(9, 19, ()))
    small = F.interpolate(frames.unsqueeze(1), size=(size, size), mode="area")
    large = F.interpolate(small, size=(FRAME_SIZE, FRAME_SIZE), mode="bilinear", align_corners=False).squeeze(1)
    # Scanners and recognition.normalize sharpen by thresholding.
    sharp = ((large / large.amax((1, 2), keepdim=True).clamp(min=1e-6) - 0.5) * 2 + 0.5).clamp(0, 1)
    return torch.where(bernoulli(frames, 0.5)[:, None, None], large, sharp)


def blur(frames: Tensor) -> Tensor:
    """Up to two passes of a 3x3 box filter, in about half of the frames."""
    return apply_to_some(apply_to_some(frames, 0.3, _soften), 0.3, _soften)


def _soften(frames: Tensor) -> Tensor:
    soft = F.avg_pool2d(frames.unsqueeze(1), 3, 1, 1).squeeze(1)
    return mix(frames, soft, uniform(frames, 0.2, 1.0))


def change_contrast(frames: Tensor) -> Tensor:
    """Steeper edges, binarisation, or paler ink."""
    frames = apply_to_some(frames, 0.35, _steepen)
    frames = apply_to_some(frames, 0.1, lambda some: (some > _threshold(some)).float())
    return apply_to_some(frames, 0.2, lambda some: some * uniform(some, 0.5, 1.0)[:, None, None])


def _steepen(frames: Tensor) -> Tensor:
    threshold, gain = _threshold(frames), torch.exp(uniform(frames, -0.2, 1.0))[:, None, None]
    return ((frames - threshold) * gain + threshold).clamp(0, 1)


def _threshold(frames: Tensor) -> Tensor:
    """A random threshold between paper and ink, `[N, 1, 1]`."""
    strongest = frames.amax((1, 2)).clamp(min=1e-6)
    return (strongest * uniform(frames, 0.3, 0.55))[:, None, None]


def add_noise(frames: Tensor) -> Tensor:
    """Gaussian noise in 20 % of the frames, a few specks in 10 %."""
    return apply_to_some(apply_to_some(frames, 0.2, _add_gaussian_noise), 0.1, _add_specks)


def _add_gaussian_noise(frames: Tensor) -> Tensor:
    return frames + torch.randn_like(frames) * uniform(frames, 0.01, 0.12)[:, None, None]


def _add_specks(frames: Tensor) -> Tensor:
    specks = (torch.rand_like(frames) < 0.004).float() * torch.rand_like(frames)
    return torch.maximum(frames, specks)
