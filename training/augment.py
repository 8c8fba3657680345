"""Random distortions that stand for the world outside MNIST, computed in batches with separate values per sample.

    distort = Distorter(Distortions())
    frames = distort(frames, labels)         # float32 [N, 28, 28], 0 = paper, 1 = ink, on any device

A digit is first written differently (flag, foot, crossbar: `training.variants`), then seen from another angle and
brought back into the frame's geometry, as recognition.normalize would, then drawn with another pen, then seen by
another camera. Each distortion has a switch, so that an ablation can tell what it brings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from model import FRAME_SIZE
from recognition.normalize import INK_SIZE
from training.chance import chosen, uniform
from training.variants import rewrite

_MIDDLE = (FRAME_SIZE - 1) / 2  # of the frame, in pixel indices


@dataclass(frozen=True, slots=True)
class Distortions:
    """Which distortions are on."""

    variants: bool = True  # flags, feet and crossbars that MNIST's American hands lack
    affine: bool = True
    elastic: bool = True
    thickness: bool = True
    pressure: bool = True  # ink that fades along the stroke
    gaps: bool = True
    neighbours: bool = True  # pieces of other digits at the border
    blur: bool = True
    low_resolution: bool = True
    contrast: bool = True
    noise: bool = True


NO_DISTORTIONS = Distortions(*[False] * 11)


class Distorter:
    """Applies the distortions that are switched on."""

    def __init__(self, distortions: Distortions) -> None:
        self.on = distortions

    def __call__(self, frames: Tensor, labels: Tensor) -> Tensor:
        """Distort frames `[N, 28, 28]` whose labels `[N]` are digits, or 10 for what is none."""
        if self.on.variants:
            frames = rewrite(frames, labels)
        moved = move(frames, affine=self.on.affine, elastic=self.on.elastic)
        # Three in ten stay as clean as MNIST itself, which would otherwise become a rare case of its own training.
        clean = chosen(frames, 0.3)[:, None, None]
        return torch.where(clean, moved, self._redraw(moved)).clamp(0, 1)

    def _redraw(self, frames: Tensor) -> Tensor:
        """Another pen on another paper, before another camera."""
        if self.on.thickness:
            frames = change_thickness(frames)
        if self.on.pressure:
            frames = vary_pressure(frames)
        if self.on.gaps:
            frames = cut_gaps(frames)
        if self.on.neighbours:
            frames = add_neighbours(frames)
        if self.on.low_resolution:
            frames = lower_resolution(frames)
        if self.on.blur:
            frames = blur(frames)
        if self.on.contrast:
            frames = change_contrast(frames)
        if self.on.noise:
            frames = add_noise(frames)
        return frames


def mix(frames: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """`frames` towards `other` by a weight per sample, `[N]`."""
    return torch.lerp(frames, other, weight[:, None, None])


def move(frames: Tensor, *, affine: bool = True, elastic: bool = True) -> Tensor:
    """Rotate, shear, stretch and bend, then scale and centre the ink again as recognition.normalize does.

    Output pixel r takes its value from p = A^-1 (r - jitter) / s + centre, where s scales the distorted ink's longer
    side to 20 px: so all of it costs one interpolation.
    """
    forward = _random_affine(frames) if affine else torch.eye(2, device=frames.device).repeat(len(frames), 1, 1)
    scale, centre = _framing(frames, forward)
    jitter = torch.zeros(len(frames), 1, 2, device=frames.device)
    if affine:
        scale = scale * torch.exp(0.05 * torch.randn_like(scale))
        # Mostly where normalize puts it; at times off by some pixels, as when a speck or a neighbour pulls the centre.
        spread = torch.where(chosen(frames, 0.15), 1.8, 0.5)
        jitter = torch.randn_like(jitter) * spread[:, None, None]
    grid = _pixel_grid(frames) - _MIDDLE
    source = (grid - jitter) @ torch.linalg.inv(forward).mT / scale[:, None, None] + centre[:, None, :]
    source = source.view(len(frames), FRAME_SIZE, FRAME_SIZE, 2)
    if elastic:
        source = source + _random_bend(frames) + _random_proportions(frames, source)
    # grid_sample's coordinates run from -1 to 1 between the middles of the outer pixels.
    return F.grid_sample(frames.unsqueeze(1), source / _MIDDLE - 1, align_corners=True).squeeze(1)


def _pixel_grid(frames: Tensor) -> Tensor:
    axis = torch.arange(FRAME_SIZE, device=frames.device, dtype=frames.dtype)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([columns, rows], dim=-1).view(1, -1, 2)  # x, y as grid_sample wants them


def _random_affine(frames: Tensor) -> Tensor:
    """Rotation by up to 15 degrees, slant and aspect: matrices `[N, 2, 2]` that map ink offsets forward."""
    angle = uniform(frames, -1, 1) * math.radians(15)
    slant = 0.18 * torch.randn(len(frames), device=frames.device)
    # Now and then the aspect ratio is lost altogether, as in scans stretched to a square.
    spread = torch.where(chosen(frames, 0.15), 0.35, 0.12)
    aspect = torch.exp(spread * torch.randn(len(frames), device=frames.device))
    cos, sin, one, zero = torch.cos(angle), torch.sin(angle), torch.ones_like(angle), torch.zeros_like(angle)
    rotation = torch.stack([cos, -sin, sin, cos], dim=1).view(-1, 2, 2)
    shear = torch.stack([one, slant, zero, one], dim=1).view(-1, 2, 2)
    stretch = torch.stack([aspect, zero, zero, one], dim=1).view(-1, 2, 2)
    return rotation @ shear @ stretch


def _framing(frames: Tensor, forward: Tensor) -> tuple[Tensor, Tensor]:
    """Scale `[N]` that fits the distorted ink into 20 px, and the centre of mass `[N, 2]` of the ink as it is."""
    mass = frames.flatten(1)
    grid = _pixel_grid(frames)
    centre = (mass.unsqueeze(2) * grid).sum(1) / mass.sum(1, keepdim=True).clamp(min=1e-6)
    moved = grid @ forward.mT  # [N, 784, 2]
    inked = (mass > 0.25).unsqueeze(2)
    low = moved.masked_fill(~inked, math.inf).amin(1)
    high = moved.masked_fill(~inked, -math.inf).amax(1)
    extent = (high - low).amax(1) + 1
    scale = torch.where(extent.isfinite() & (extent > 1), INK_SIZE / extent, 1.0)
    return scale.clamp(0.25, 20.0), torch.where(mass.sum(1, keepdim=True) > 1e-6, centre, _MIDDLE)


def _random_bend(frames: Tensor) -> Tensor:
    """Smooth displacements `[N, 28, 28, 2]` in source pixels: a coarse random field, interpolated."""
    coarse = torch.randn(len(frames), 2, 6, 6, device=frames.device)
    strength = uniform(frames, 0.0, 1.1)[:, None, None, None]
    field = F.interpolate(coarse * strength, size=(FRAME_SIZE, FRAME_SIZE), mode="bicubic", align_corners=True)
    return field.permute(0, 2, 3, 1)


def _random_proportions(frames: Tensor, source: Tensor) -> Tensor:
    """Displacements that stretch one half of the ink and shrink the other, along each axis: a 9 with a small loop."""
    place = (source / _MIDDLE - 1).clamp(-1, 1)
    strength = 0.12 * torch.randn(len(frames), 1, 1, 2, device=frames.device).clamp(-2, 2)
    return strength * (1 - place**2) * _MIDDLE


def change_thickness(frames: Tensor) -> Tensor:
    """A finer or a broader pen: towards the darkest or the lightest neighbour, by a random part of the way."""
    amount = uniform(frames, -0.65, 1.0)
    padded = frames.unsqueeze(1)
    broad = F.max_pool2d(padded, 3, 1, 1).squeeze(1)
    fine = -F.max_pool2d(-padded, 3, 1, 1).squeeze(1)
    frames = mix(mix(frames, broad, amount.clamp(min=0)), fine, (-amount).clamp(min=0))
    marker = chosen(frames, 0.1).float() * uniform(frames, 0.3, 1.0)
    return mix(frames, F.max_pool2d(frames.unsqueeze(1), 3, 1, 1).squeeze(1), marker)


def vary_pressure(frames: Tensor) -> Tensor:
    """Ink that fades along the stroke, for three in ten."""
    strength = chosen(frames, 0.3).float() * uniform(frames, 0.1, 0.7)
    coarse = torch.rand(len(frames), 1, 4, 4, device=frames.device)
    field = F.interpolate(coarse, size=(FRAME_SIZE, FRAME_SIZE), mode="bilinear", align_corners=True).squeeze(1)
    return frames * (1 - strength[:, None, None] * field)


def cut_gaps(frames: Tensor) -> Tensor:
    """A small round hole anywhere near the ink, for one in five: a pen that skipped."""
    centre = uniform(frames, 6, 22), uniform(frames, 6, 22)
    radius = chosen(frames, 0.2).float() * uniform(frames, 0.8, 2.3)
    distance = _distance(frames, *centre)
    hole = (radius[:, None, None] + 0.5 - distance).clamp(0, 1) * (radius > 0)[:, None, None]
    return frames * (1 - hole)


def _distance(frames: Tensor, x: Tensor, y: Tensor) -> Tensor:
    axis = torch.arange(FRAME_SIZE, device=frames.device, dtype=frames.dtype)
    return torch.hypot(axis[None, None, :] - x[:, None, None], axis[None, :, None] - y[:, None, None])


def add_neighbours(frames: Tensor) -> Tensor:
    """The edge of another digit of the batch reaches in from one side, for one in twelve."""
    other = frames.roll(1, dims=0)
    side = torch.randint(0, 4, (len(frames),), device=frames.device)
    distance = uniform(frames, 17, 21).round()
    dx = torch.where(side == 0, distance, torch.where(side == 1, -distance, uniform(frames, -6, 6)))
    dy = torch.where(side == 2, distance, torch.where(side == 3, -distance, uniform(frames, -6, 6)))
    theta = torch.zeros(len(frames), 2, 3, device=frames.device)
    theta[:, 0, 0] = theta[:, 1, 1] = 1
    theta[:, 0, 2], theta[:, 1, 2] = dx / (FRAME_SIZE / 2), dy / (FRAME_SIZE / 2)
    grid = F.affine_grid(theta, [len(frames), 1, FRAME_SIZE, FRAME_SIZE], align_corners=False)
    intruder = F.grid_sample(other.unsqueeze(1), grid, align_corners=False).squeeze(1)
    return torch.maximum(frames, intruder * chosen(frames, 0.08).float()[:, None, None])


def lower_resolution(frames: Tensor) -> Tensor:
    """Seen in fewer pixels and enlarged again, for one in five."""
    size = int(torch.randint(9, 19, ()))
    small = F.interpolate(frames.unsqueeze(1), size=(size, size), mode="area")
    large = F.interpolate(small, size=(FRAME_SIZE, FRAME_SIZE), mode="bilinear", align_corners=False).squeeze(1)
    # A low resolution blurs; the thresholds of scanners and of our own front end sharpen again.
    sharp = ((large / large.amax((1, 2), keepdim=True).clamp(min=1e-6) - 0.5) * 2 + 0.5).clamp(0, 1)
    result = torch.where(chosen(frames, 0.5)[:, None, None], large, sharp)
    return torch.where(chosen(frames, 0.2)[:, None, None], result, frames)


def blur(frames: Tensor) -> Tensor:
    """Out of focus, by up to two passes of a 3x3 box, for a third."""
    for _ in range(2):
        soft = F.avg_pool2d(frames.unsqueeze(1), 3, 1, 1).squeeze(1)
        frames = mix(frames, soft, chosen(frames, 0.3).float() * uniform(frames, 0.2, 1.0))
    return frames


def change_contrast(frames: Tensor) -> Tensor:
    """Steeper edges, black and white, or paler ink."""
    strongest = frames.amax((1, 2)).clamp(min=1e-6)
    threshold = (strongest * uniform(frames, 0.3, 0.55))[:, None, None]
    gain = torch.exp(uniform(frames, -0.2, 1.0))[:, None, None]
    steep = ((frames - threshold) * gain + threshold).clamp(0, 1)
    frames = torch.where(chosen(frames, 0.35)[:, None, None], steep, frames)
    frames = torch.where(chosen(frames, 0.1)[:, None, None], (frames > threshold).float(), frames)
    pale = torch.where(chosen(frames, 0.2), uniform(frames, 0.5, 1.0), 1.0)
    return frames * pale[:, None, None]


def add_noise(frames: Tensor) -> Tensor:
    """Grain, and a few specks, for one in five."""
    grain = torch.randn_like(frames) * (chosen(frames, 0.2).float() * uniform(frames, 0.01, 0.12))[:, None, None]
    specks = (torch.rand_like(frames) < 0.004).float() * torch.rand_like(frames)
    return torch.maximum(frames + grain, specks * chosen(frames, 0.1).float()[:, None, None])
