"""The training loop: epochs of batches, validation, best epoch, early stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from training.batches import BatchLoader
from training.calibration import fit_temperature
from training.datasets import Digits, TrainingSet
from training.distributed import World
from training.ensemble import Teachers
from training.loss import training_loss
from training.metrics import Metrics, compute_metrics, predict_logits
from training.optim import build_average, build_optimizer, build_scheduler
from training.recipes import Recipe, build_network
from training.training_state import stop_on_signal

# Reading the loss synchronises the CPU with a GPU, so it is checked only every few steps.
_STEPS_BETWEEN_CHECKS = {"cpu": 1}
_DEFAULT_STEPS_BETWEEN_CHECKS = 25


class DivergedError(Exception):
    """The loss is not finite."""


class Interrupted(Exception):
    """The training was interrupted by a signal; its state is saved."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """Metrics of one epoch."""

    number: int  # from 1
    loss: float
    accuracy: float  # on the augmented training batches
    lr: float  # at the end of the epoch
    seconds: float
    samples_per_second: float
    validation: Metrics


@dataclass(slots=True)
class Progress:
    """The progress of a training: finished epochs, sums over the current epoch, and the best weights so far."""

    epochs: int = 0
    batches: int = 0  # of the current epoch, like the next four
    loss: float = 0.0
    n_correct: float = 0.0
    n_samples: int = 0
    seconds: float = 0.0
    history: list[Epoch] = field(default_factory=list)
    best_weights: dict[str, Tensor] | None = None  # moving average at the epoch with the lowest validation loss
    best_epoch: int = 0

    def state_dict(self) -> dict[str, Any]:
        """All fields as plain values and tensors."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return values | {"history": [asdict(epoch) for epoch in self.history]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        history = [Epoch(**{**epoch, "validation": Metrics(**epoch["validation"])}) for epoch in state["history"]]
        for name, value in (state | {"history": history}).items():
            setattr(self, name, value)

    @property
    def best_loss(self) -> float:
        """The lowest validation loss so far."""
        return self.history[self.best_epoch - 1].validation.loss if self.best_epoch else math.inf

    def is_finished(self, recipe: Recipe) -> bool:
        """Whether all epochs are done, or the last `patience` of them were no better than the best."""
        has_stalled = recipe.patience is not None and self.epochs - self.best_epoch >= recipe.patience
        return self.epochs >= recipe.epochs or has_stalled

    def end_epoch(self, validation: Metrics, lr: float, world: World) -> Epoch:
        """Move the sums over the current epoch into the history."""
        n = self.n_samples * world.size
        self.epochs += 1
        epoch = Epoch(self.epochs, self.loss / n, self.n_correct / n, lr, self.seconds, n / self.seconds, validation)
        self.history.append(epoch)
        self.batches = self.n_samples = 0
        self.loss = self.n_correct = self.seconds = 0.0
        return epoch


def initialize(
    recipe: Recipe, training: TrainingSet, seed: int, device: torch.device, world: World
) -> tuple[nn.Module, AveragedModel, Optimizer, LRScheduler, BatchLoader]:
    """Network, moving average, optimizer, scheduler and batches for `fit`. Raises `UsageError`."""
    torch.manual_seed(seed)  # the same weights in all processes
    network = build_network(recipe)
    # Both CPUs and GPUs convolve fastest in channels last.
    network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.manual_seed(seed + 10_007 * world.rank)  # different distortions
    batches = BatchLoader(training, recipe, seed, world, device)
    average = build_average(network, recipe.ema_decay)
    optimizer = build_optimizer(network, recipe)
    scheduler = build_scheduler(optimizer, recipe, recipe.epochs * len(batches))
    return network, average, optimizer, scheduler, batches


def fit(
    network: nn.Module,
    average: AveragedModel,
    optimizer: Optimizer,
    scheduler: LRScheduler,
    batches: BatchLoader,
    validation: Digits,
    recipe: Recipe,
    progress: Progress,
    *,
    teachers: Teachers | None = None,
    world: World = World(),  # noqa: B008
    save: Callable[[], None] = lambda: None,
    report: Callable[[Epoch], None] = lambda _epoch: None,
) -> None:
    """Train from `progress` to the end. Raises `DivergedError`, or `Interrupted` after SIGINT or SIGTERM.

    `save` is called after each epoch and before `Interrupted` is raised, `report` after each epoch.
    """
    parallel = DistributedDataParallel(network) if world.size > 1 else network
    # torchrun forwards signals that its processes may already have received from the terminal.
    with stop_on_signal(second_is_fatal=world.size == 1) as should_stop:
        while not progress.is_finished(recipe):
            try:
                train_one_epoch(
                    parallel, average, optimizer, scheduler, batches, recipe, progress, teachers, world, should_stop
                )
            except Interrupted:
                save()
                raise
            metrics = validate(average, validation, world)
            if isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step(metrics.loss)
            if metrics.loss < progress.best_loss:
                progress.best_weights = {k: v.detach().clone() for k, v in average.module.state_dict().items()}
                progress.best_epoch = progress.epochs + 1
            epoch = progress.end_epoch(metrics, optimizer.param_groups[0]["lr"], world)
            save()
            report(epoch)


def train_one_epoch(
    network: nn.Module,
    average: AveragedModel,
    optimizer: Optimizer,
    scheduler: LRScheduler,
    batches: BatchLoader,
    recipe: Recipe,
    progress: Progress,
    teachers: Teachers | None,
    world: World,
    should_stop: Callable[[], bool],
) -> None:
    """Train on the remaining batches of the current epoch. Raises `Interrupted` or `DivergedError`."""
    network.train()
    totals = torch.zeros(2, device=batches.device)  # loss and correct predictions since the last check
    interval = _STEPS_BETWEEN_CHECKS.get(batches.device.type, _DEFAULT_STEPS_BETWEEN_CHECKS)
    number, start = progress.epochs + 1, time.perf_counter()
    remaining = tqdm(
        batches.epoch(number, progress.batches),
        f"epoch {number}/{recipe.epochs}",
        total=len(batches),
        initial=progress.batches,
        unit=" samples",
        unit_scale=recipe.batch_size,
        leave=False,
        disable=None if world.is_main_process else True,  # None: no bar where standard error is not a terminal
    )
    try:
        for frames, labels in remaining:
            totals += train_one_batch(network, average, optimizer, scheduler, frames, labels, recipe, teachers)
            progress.batches += 1
            progress.n_samples += len(labels)
            is_last = progress.batches == len(batches)
            if progress.batches % interval and not is_last:
                continue
            if _add_up(progress, totals, world, len(batches), stop=should_stop()) and not is_last:
                raise Interrupted
    finally:
        progress.seconds += time.perf_counter() - start


def train_one_batch(
    network: nn.Module,
    average: AveragedModel,
    optimizer: Optimizer,
    scheduler: LRScheduler,
    frames: Tensor,
    labels: Tensor,
    recipe: Recipe,
    teachers: Teachers | None = None,
) -> Tensor:
    """One step; returns the sum of the losses and the number of correct predictions, `[2]`, on the device."""
    with torch.autocast(frames.device.type, dtype=torch.bfloat16, enabled=has_fast_bfloat16(frames.device)):
        targets = teachers(frames) if teachers else None  # [B, C]
        logits = network(frames)  # [B, 28, 28] -> [B, C]
    loss = training_loss(logits.float(), labels, targets, recipe)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), recipe.max_gradient_norm)
    optimizer.step()
    if not isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step()
    average.update_parameters(network)
    return torch.stack([loss.detach() * len(labels), (logits.detach().argmax(1) == labels).sum().float()])


def _add_up(progress: Progress, totals: Tensor, world: World, n_batches: int, *, stop: bool) -> bool:
    """Move `totals` into `progress`; returns whether any process should `stop`. Raises `DivergedError`.

    Both are exchanged together, so that all processes stop at the same batch.
    """
    loss, n_correct, n_stopping = world.all_reduce(torch.cat([totals, totals.new_tensor([float(stop)])])).tolist()
    if not math.isfinite(loss):
        step = progress.epochs * n_batches + progress.batches
        raise DivergedError(f"the loss is not finite at step {step:,}, in epoch {progress.epochs + 1}")
    progress.loss += loss
    progress.n_correct += n_correct
    totals.zero_()
    return bool(n_stopping)


def validate(network: nn.Module, validation: Digits, world: World = World()) -> Metrics:  # noqa: B008
    """Metrics on the validation digits, with a fitted temperature.

    Label smoothing makes networks underconfident; without calibration, an early epoch would have the lowest loss.
    """
    metrics = None
    if world.is_main_process:  # processes differ in their batch-norm statistics
        logits, labels = predict_logits(network, validation), validation.labels.cpu()
        metrics = compute_metrics(logits, labels, fit_temperature(logits, labels))
    result: Metrics = world.broadcast(metrics)
    return result


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether matrix products are at least twice as fast in bfloat16 as in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # CPUs without instructions for it emulate bfloat16, slower than float32.
    capabilities = torch.cpu.get_capabilities()
    return device.type == "cpu" and any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16"))
