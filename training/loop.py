"""Fit a network: epochs, schedule, moving average of the weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from training.batches import Batches
from training.data import Digits
from training.metrics import Scores, predict_logits, score
from training.recipes import Recipe


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch did."""

    number: int  # from 1
    loss: float
    accuracy: float  # on the distorted training batches
    lr: float  # at the end of the epoch
    seconds: float
    samples_per_second: float
    validation: Scores


class DivergedError(Exception):
    """The loss is no longer a number."""


def fit(
    network: nn.Module,
    batches: Batches,
    validation: Digits,
    recipe: Recipe,
    device: torch.device,
    report: Callable[[Epoch], None],
) -> nn.Module:
    """Train `network` in place; return the moving average of its weights. Raises `DivergedError`."""
    # Channels last is the layout in which both CPUs and GPUs convolve fastest.
    network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = AveragedModel(network, avg_fn=warmed_up_average(recipe.ema_decay), use_buffers=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=recipe.lr, total_steps=recipe.epochs * len(batches), pct_start=0.15
    )
    for number in range(1, recipe.epochs + 1):
        start = time.perf_counter()
        loss, accuracy = _train_one_epoch(network, averaged, batches, optimizer, schedule, recipe, device, number)
        seconds = time.perf_counter() - start
        n_samples = len(batches) * recipe.batch_size
        scores = score(predict_logits(averaged, validation), validation.labels)
        lr = float(schedule.get_last_lr()[0])
        report(Epoch(number, loss, accuracy, lr, seconds, n_samples / seconds, scores))
    module: nn.Module = averaged.module
    return module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload, no-any-return]


def warmed_up_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Exponential moving average whose window grows with the steps taken, so that it forgets where it started."""

    def average(old: Tensor, new: Tensor, steps: Tensor | int) -> Tensor:
        if not old.is_floating_point():  # batch normalisation's count of batches
            return new
        return torch.lerp(old, new, 1 - min(decay, (1 + int(steps)) / (10 + int(steps))))

    return average


def _train_one_epoch(
    network: nn.Module,
    averaged: AveragedModel,
    batches: Batches,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    recipe: Recipe,
    device: torch.device,
    number: int,
) -> tuple[float, float]:
    """Mean loss and accuracy over the epoch's batches."""
    network.train()
    total, right = torch.zeros((), device=device), torch.zeros((), device=device)
    n_samples = 0
    # tqdm's None: no bar where standard error is not a terminal.
    for frames, labels in tqdm(batches, desc=f"epoch {number}", unit="batch", leave=False, disable=None):
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=has_fast_bfloat16(device)):
            logits = network(frames)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), recipe.max_gradient_norm)
        optimizer.step()
        schedule.step()
        averaged.update_parameters(network)
        total += loss.detach() * len(labels)
        right += (logits.detach().argmax(1) == labels).sum()
        n_samples += len(labels)
    mean = float(total) / n_samples
    if not math.isfinite(mean):
        raise DivergedError(f"The loss is no longer a number in epoch {number}; a lower learning rate may help.")
    return mean, float(right) / n_samples


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 are several times faster than in float32 there."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # On CPUs without matrix units bfloat16 is emulated, and slower than float32.
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("amx_bf16", False))
