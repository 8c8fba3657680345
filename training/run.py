"""One training from its recipe to its last epoch, with its state kept beside its output."""

from __future__ import annotations

import dataclasses
import random
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from model import save_checkpoint
from training.batches import Batches
from training.distill import Teachers
from training.distributed import World
from training.finish import calibrate
from training.interrupt import listening
from training.loop import DivergedError, Epoch, Training, fit
from training.members import Member
from training.recipes import Recipe, build_network
from training.sources import Split
from training.state import save_state
from training.watch import Watch


def prepare(
    recipe: Recipe, split: Split, device: torch.device, seed: int, world: World, teachers: Teachers | None
) -> Training:
    """A training that has not begun. Seeds every random generator: weights alike in all processes, the rest not."""
    torch.manual_seed(seed)
    network = build_network(recipe)
    for generator in (torch.manual_seed, np.random.seed, random.seed):
        generator(seed + 10_007 * world.rank)
    batches = Batches(split.training.to(device), recipe, seed, world)
    return Training(network, batches, split.validation.to(device), recipe, device, world=world, teachers=teachers)


def identify(training: Training, data: Sequence[str], seed: int) -> dict[str, Any]:
    """What must be the same for a training to be resumed, as plain values."""
    return {
        **dataclasses.asdict(training.recipe),
        "data": list(data),
        "number of digits": len(training.batches.digits),
        "seed": seed,
        "device": training.device.type,
        "number of processes": training.world.size,
        "teachers": training.teachers.ids if training.teachers else [],
    }


def run(training: Training, identity: dict[str, Any], member: Member, watch: Watch | None) -> None:
    """Train to the end, keeping the state as it goes. Raises `Interrupted`, `DivergedError` or `OSError`."""

    def keep() -> None:
        state = training.state_dict()  # asks all processes
        if training.world.is_writer:
            save_state(state, identity, member.state)
        training.world.wait()  # torchrun ends all processes as soon as one of them has gone

    def report(epoch: Epoch) -> None:
        if training.world.is_writer:
            tqdm.write(describe(epoch, training.recipe.epochs))
            sys.stdout.flush()
        if watch:
            watch.show(epoch)

    try:
        # torchrun hands on the signals that its processes have already got from the terminal.
        with listening(impatient=training.world.size == 1) as stop:
            fit(training, keep, report, stop)
    except DivergedError as error:
        raise DivergedError(f"{error}; {keep_last_good(training, member)}. A lower --lr may help.") from error


def keep_last_good(training: Training, member: Member) -> str:
    """Write the best weights so far beside the output, which stays as it was; says where they are."""
    if training.progress.best is None:
        return f"no epoch was finished, and {member.output} is as it was"
    path = member.output.with_suffix(f".last-good{member.output.suffix}")
    if training.world.is_writer:
        save_checkpoint(calibrate(training, seed=member.seed), path)
    return f"{path} holds the weights of epoch {training.progress.best_epoch}, and {member.output} is as it was"


def describe(epoch: Epoch, n_epochs: int) -> str:
    """One line for one epoch."""
    return (
        f"epoch {epoch.number:3}/{n_epochs}  loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.4f}  "
        f"val loss {epoch.validation.loss:.4f}  val accuracy {epoch.validation.accuracy:.4f}  "
        f"lr {epoch.lr:.2e}  {epoch.seconds:.1f} s  {epoch.samples_per_second:.0f} samples/s"
    )
