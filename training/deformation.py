"""Random deformation of frames: affine and elastic, with the ink scaled and centred as in recognition.frame."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from model_file import FRAME_SIZE
from recognition.frame import INK_CENTRE, INK_SIZE
from training.random import bernoulli, uniform

_MIDDLE = (FRAME_SIZE - 1) / 2  # of the frame, in pixel indices
_INK_CENTRE = INK_CENTRE - 0.5  # likewise


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
