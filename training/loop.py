"""Fit a network: epochs, schedule, moving average of the weights, best epoch, early stop, interrupt and resume."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from training.batches import Batches
from training.data import Digits
from training.device import has_fast_bfloat16
from training.distill import Teachers, loss_of
from training.distributed import World
from training.interrupt import Interrupted, StopSignal
from training.metrics import Scores, fit_temperature, predict_logits, score
from training.recipes import Recipe
from training.schedules import Schedule
from training.state import random_state, restore_random_state

# Asking a GPU whether a loss is finite makes it wait; on a CPU it costs nothing.
_STEPS_BETWEEN_CHECKS = {"cpu": 1}
_DEFAULT_STEPS_BETWEEN_CHECKS = 25


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


@dataclass(slots=True)
class Progress:
    """How far a training has come: whole epochs, batches of the epoch at hand, and what was best so far."""

    epochs: int = 0
    batches: int = 0
    loss: float = 0.0  # these four are sums over the epoch at hand
    right: float = 0.0
    samples: int = 0
    seconds: float = 0.0
    history: list[Epoch] = field(default_factory=list)
    best: Mapping[str, Tensor] | None = None  # averaged weights of the epoch with the least validation loss
    best_epoch: int = 0

    def state_dict(self) -> dict[str, Any]:
        """Everything, as plain values and tensors."""
        names = ("epochs", "batches", "loss", "right", "samples", "seconds", "best", "best_epoch")
        return {name: getattr(self, name) for name in names} | {"history": [asdict(epoch) for epoch in self.history]}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Progress:
        """The progress that `state_dict` was taken of."""
        history = [Epoch(**{**epoch, "validation": Scores(**epoch["validation"])}) for epoch in state["history"]]
        return cls(**{**state, "history": history})


class Training:
    """One training, at any point of it."""

    def __init__(
        self,
        network: nn.Module,
        batches: Batches,
        validation: Digits,
        recipe: Recipe,
        device: torch.device,
        *,
        world: World = World(),  # noqa: B008
        teachers: Teachers | None = None,
    ) -> None:
        # Channels last is the layout in which both CPUs and GPUs convolve fastest.
        self.network: nn.Module = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = AveragedModel(self.network, avg_fn=warmed_up_average(recipe.ema_decay), use_buffers=True)
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
        self.schedule = Schedule(self.optimizer, recipe, recipe.epochs * len(batches))
        self.parallel = DistributedDataParallel(self.network) if world.size > 1 else self.network
        self.batches, self.validation, self.recipe, self.device = batches, validation, recipe, device
        self.world, self.teachers = world, teachers
        self.progress = Progress()

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or `patience` epochs have brought nothing."""
        stale = self.progress.epochs - self.progress.best_epoch
        stalled = self.recipe.patience is not None and stale >= self.recipe.patience
        return self.progress.epochs >= self.recipe.epochs or stalled

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs to continue to the same weights."""
        return {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "progress": self.progress.state_dict(),
            "random": self.world.gather(random_state()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state` was taken."""
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.progress = Progress.from_state(state["progress"])
        restore_random_state(state["random"][self.world.rank])

    def best_network(self) -> nn.Module:
        """The moving average of the weights at its best epoch, as a module of its own."""
        network: nn.Module = copy.deepcopy(self.averaged.module)
        if self.progress.best is not None:
            network.load_state_dict(dict(self.progress.best))
        return network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload, no-any-return]


def fit(training: Training, keep: Callable[[], None], report: Callable[[Epoch], None], stop: StopSignal) -> None:
    """Train to the end, from wherever `training` stands. `keep` is called whenever its state is worth saving.

    Raises `DivergedError`; and `Interrupted`, after `keep`, where `stop` was requested.
    """
    recipe, progress = training.recipe, training.progress
    n_steps = recipe.epochs * len(training.batches)
    done = progress.epochs * len(training.batches) + progress.batches
    # tqdm's None: no bar where standard error is not a terminal.
    with tqdm(total=n_steps, initial=done, unit="batch", leave=False, disable=None) as bar:
        while not training.is_over:
            bar.set_description(f"epoch {progress.epochs + 1}/{recipe.epochs}")
            _train_one_epoch(training, keep, stop, bar)
            epoch = _end_epoch(training)
            keep()
            report(epoch)


def _train_one_epoch(training: Training, keep: Callable[[], None], stop: StopSignal, bar: tqdm[Any]) -> None:
    """The batches of one epoch that are still to do."""
    progress, device = training.progress, training.device
    training.network.train()
    totals = torch.zeros(2, device=device)  # loss and right answers since the last look at them
    start = time.perf_counter()
    number = progress.epochs + 1
    interval = _STEPS_BETWEEN_CHECKS.get(device.type, _DEFAULT_STEPS_BETWEEN_CHECKS)
    for frames, labels in training.batches.epoch(number, progress.batches):
        totals += train_one_batch(training, frames, labels)
        progress.batches += 1
        progress.samples += len(labels)
        bar.update()
        if progress.batches % interval and progress.batches < len(training.batches):
            continue
        is_wanted = _add_to_progress(training, totals, stop)
        if is_wanted and progress.batches < len(training.batches):
            progress.seconds += time.perf_counter() - start
            keep()
            raise Interrupted
    progress.seconds += time.perf_counter() - start


def train_one_batch(training: Training, frames: Tensor, labels: Tensor) -> Tensor:
    """One step; the sum of the losses and the number of right answers, on the device."""
    device = training.device
    targets = training.teachers(frames) if training.teachers else None
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=has_fast_bfloat16(device)):
        logits = training.parallel(frames)
    loss = loss_of(logits.float(), labels, targets, training.recipe)
    training.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(training.network.parameters(), training.recipe.max_gradient_norm)
    training.optimizer.step()
    training.schedule.step()
    training.averaged.update_parameters(training.network)
    return torch.stack([loss.detach() * len(labels), (logits.detach().argmax(1) == labels).sum().float()])


def _add_to_progress(training: Training, totals: Tensor, stop: StopSignal) -> bool:
    """Move `totals` into the progress; whether any process is asked to stop. Raises `DivergedError` in all."""
    progress = training.progress
    # One exchange tells all processes of both, so that all of them stop at the same batch.
    wish = totals.new_tensor([float(stop.requested)])
    loss, right, wanted = (float(value) for value in training.world.add_up(torch.cat([totals, wish])))
    if not math.isfinite(loss):
        step = progress.epochs * len(training.batches) + progress.batches
        raise DivergedError(f"the loss is no longer a number at step {step:,}, in epoch {progress.epochs + 1}")
    progress.loss += loss
    progress.right += right
    totals.zero_()
    return wanted > 0


def _end_epoch(training: Training) -> Epoch:
    """Measure on validation, and go on to the next epoch."""
    progress, world = training.progress, training.world
    scores = None
    if world.is_writer:
        logits, labels = predict_logits(training.averaged, training.validation), training.validation.labels.cpu()
        # As it will be served: label smoothing leaves logits too flat, the more so the better the network gets, and
        # the plain loss would call an early epoch the best.
        scores = score(logits, labels, fit_temperature(logits, labels))
    # Processes differ in their batch-norm statistics, so the writer's figures hold for all.
    scores = world.agree(scores)
    training.schedule.end_epoch(scores.loss)
    n = progress.samples * world.size
    progress.epochs += 1
    epoch = Epoch(
        number=progress.epochs,
        loss=progress.loss / n,
        accuracy=progress.right / n,
        lr=training.schedule.lr,
        seconds=progress.seconds,
        samples_per_second=n / progress.seconds,
        validation=scores,
    )
    best = progress.history[progress.best_epoch - 1].validation.loss if progress.best_epoch else math.inf
    if scores.loss < best:
        progress.best = {
            name: tensor.detach().clone() for name, tensor in training.averaged.module.state_dict().items()
        }
        progress.best_epoch = progress.epochs
    progress.history.append(epoch)
    progress.batches, progress.samples = 0, 0
    progress.loss = progress.right = progress.seconds = 0.0
    return epoch


def warmed_up_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Exponential moving average whose window grows with the steps taken, so that it forgets where it started."""

    def average(old: Tensor, new: Tensor, steps: Tensor | int) -> Tensor:
        if not old.is_floating_point():  # batch normalisation's count of batches
            return new
        return torch.lerp(old, new, 1 - min(decay, (1 + int(steps)) / (10 + int(steps))))

    return average
