"""Data augmentation: random distortions, computed on a whole batch with separate values per sample.

    augment = Augmentation(Distortions())
    frames = augment(frames, labels)         # float32 [N, 28, 28], 0 = paper, 1 = ink, on any device

A digit gets another writing style (`training.writing_styles`) and an affine and an elastic deformation, and is scaled
and centred as in recognition.frame. Then its strokes change, and blur, contrast and noise of a camera are added.
Some samples are only deformed slightly, so that digits like MNIST's remain common. Each distortion can be disabled.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from model_file import FRAME_SIZE
from recognition.frame import INK_CENTRE, INK_SIZE
from training.random import bernoulli, uniform
from training.writing_styles import vary_writing_style

_MIDDLE = (FRAME_SIZE - 1) / 2  # of the frame, in pixel indices
_INK_CENTRE = INK_CENTRE - 0.5  # likewise
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
        if self.enabled.thickness:
            frames = change_thickness(frames)
        if self.enabled.pressure:
            frames = vary_pressure(frames)
        if self.enabled.gaps:
            frames = cut_gaps(frames)
        if self.enabled.neighbours:
            frames = add_neighbours(frames)
        if self.enabled.low_resolution:
            frames = lower_resolution(frames)
        if self.enabled.blur:
            frames = blur(frames)
        if self.enabled.contrast:
            frames = change_contrast(frames)
        if self.enabled.noise:
            frames = add_noise(frames)
        return frames


def apply_to_some(frames: Tensor, p: float, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply `change` to each frame with probability `p`; it is not computed for the others."""
    rows = bernoulli(frames, p).nonzero().squeeze(1)
    return frames.index_copy(0, rows, change(frames[rows])) if len(rows) else frames


def mix(frames: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """Interpolate from `frames` to `other` by a weight per sample, `[N]`."""
    return torch.lerp(frames, other, weight[:, None, None])


def deform(frames: Tensor, strength: Tensor, *, affine: bool = True, elastic: bool = True) -> Tensor:
    """Rotate, shear, stretch and bend, then scale and centre the ink as recognition.normalize does.

    `strength` `[N]`: 1 for full strength. Output pixel r is sampled at p = A^-1 (r - jitter) / s + centre, where s
    scales the longer side of the deformed ink to 20 px, so everything costs one interpolation.
    """
    forward = _random_affine(frames, strength) if affine else _identity(frames)
    scale, centre = _framing(frames, forward)
    jitter = torch.zeros(len(frames), 2, 1, device=frames.device)
    if affine:
        scale = scale * torch.exp(0.05 * strength * torch.randn_like(scale))
        # A speck or a neighbour may shift the centre of mass by some pixels.
        spread = torch.where(bernoulli(frames, 0.15), 1.8, 0.5) * strength
        jitter = torch.randn_like(jitter) * spread[:, None, None]
    back = torch.linalg.inv(forward) / scale[:, None, None]
    start = centre[:, :, None] - back @ (_INK_CENTRE + jitter)
    source = (back @ _pixel_grid(frames) + start).view(len(frames), 2, FRAME_SIZE, FRAME_SIZE)
    if elastic:
        source = source + _random_bend(frames, strength) + _random_proportions(frames, source, strength)
    # grid_sample's coordinates run from -1 to 1, between the centres of the outer pixels.
    grid = (source / _MIDDLE - 1).permute(0, 2, 3, 1)  # [N, 28, 28, 2]
    return F.grid_sample(frames.unsqueeze(1), grid, align_corners=True).squeeze(1)


def _pixel_grid(frames: Tensor) -> Tensor:
    """x and y of all pixels, `[2, 784]`."""
    axis = torch.arange(FRAME_SIZE, device=frames.device, dtype=frames.dtype)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([columns, rows]).view(2, -1)


def _identity(frames: Tensor) -> Tensor:
    return torch.eye(2, device=frames.device).repeat(len(frames), 1, 1)


def _random_affine(frames: Tensor, strength: Tensor) -> Tensor:
    """Rotation by up to 15 degrees, slant and aspect: matrices `[N, 2, 2]` that map offsets of ink."""
    angle = uniform(frames, -1, 1) * math.radians(15) * strength
    slant = 0.18 * torch.randn(len(frames), device=frames.device) * strength
    # Some scans are stretched to a square.
    spread = torch.where(bernoulli(frames, 0.15), 0.35, 0.12) * strength
    aspect = torch.exp(spread * torch.randn(len(frames), device=frames.device))
    cos, sin, one, zero = torch.cos(angle), torch.sin(angle), torch.ones_like(angle), torch.zeros_like(angle)
    rotation = torch.stack([cos, -sin, sin, cos], dim=1).view(-1, 2, 2)
    shear = torch.stack([one, slant, zero, one], dim=1).view(-1, 2, 2)
    stretch = torch.stack([aspect, zero, zero, one], dim=1).view(-1, 2, 2)
    return rotation @ shear @ stretch


def _framing(frames: Tensor, forward: Tensor) -> tuple[Tensor, Tensor]:
    """Scale `[N]` that fits the deformed ink into 20 px, and the centre of mass `[N, 2]` before the deformation."""
    mass = frames.flatten(1)
    grid = _pixel_grid(frames)
    total = mass.sum(1, keepdim=True)
    centre = mass @ grid.mT / total.clamp(min=1e-6)
    moved = forward @ grid  # [N, 2, 784]
    paper = torch.where(mass > 0.25, 0.0, math.inf).unsqueeze(1)
    extent = ((moved - paper).amax(2) - (moved + paper).amin(2)).amax(1) + 1
    scale = torch.where(extent.isfinite() & (extent > 1), INK_SIZE / extent, 1.0)
    return scale.clamp(0.25, 20.0), torch.where(total > 1e-6, centre, _INK_CENTRE)


def _random_bend(frames: Tensor, strength: Tensor) -> Tensor:
    """Smooth displacements `[N, 2, 28, 28]` in pixels: a coarse random field, interpolated."""
    coarse = torch.randn(len(frames), 2, 6, 6, device=frames.device)
    coarse *= (uniform(frames, 0.0, 1.1) * strength)[:, None, None, None]
    spread = _bicubic_weights(6).to(frames.device)
    return spread @ coarse @ spread.mT


@functools.cache
def _bicubic_weights(size: int) -> Tensor:
    """The matrix `[28, size]` of bicubic upsampling along one axis; the product is ten times as fast as interpolate."""
    unit = torch.eye(size)[None, None]
    wide = F.interpolate(unit, size=(FRAME_SIZE, size), mode="bicubic", align_corners=True)
    return wide[0, 0]


def _random_proportions(frames: Tensor, source: Tensor, strength: Tensor) -> Tensor:
    """Displacements that stretch one half of the ink and shrink the other, along each axis: a 9 with a small loop."""
    place = (source / _MIDDLE - 1).clamp(-1, 1)
    shift = 0.12 * torch.randn(len(frames), 2, 1, 1, device=frames.device).clamp(-2, 2)
    return shift * strength[:, None, None, None] * (1 - place**2) * _MIDDLE


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
    distance = _distance(frames, uniform(frames, 6, 22), uniform(frames, 6, 22))
    gap = (uniform(frames, 0.8, 2.3)[:, None, None] + 0.5 - distance).clamp(0, 1)
    return frames * (1 - gap)


def _distance(frames: Tensor, x: Tensor, y: Tensor) -> Tensor:
    axis = torch.arange(FRAME_SIZE, device=frames.device, dtype=frames.dtype)
    return torch.hypot(axis[None, None, :] - x[:, None, None], axis[None, :, None] - y[:, None, None])


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
