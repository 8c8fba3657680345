"""What a training run does, as one frozen value, and the named recipes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from model import ARCHITECTURES
from training.augment import NO_DISTORTIONS, Distortions

SCHEDULES = ("one-cycle", "cosine", "plateau")
DISTORTIONS = tuple(item.name for item in dataclasses.fields(Distortions))


class ChoiceError(ValueError):
    """A choice cannot be made; the message is one sentence that names the valid ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All choices of one training run but the data and the seed."""

    architecture: str = "cnn"
    arguments: Mapping[str, int | float | bool] = field(default_factory=dict)
    epochs: int = 20
    batch_size: int = 256
    lr: float = 4e-3  # the highest of the schedule
    schedule: str = "one-cycle"
    patience: int | None = None  # epochs without a better validation loss before training stops; None never stops
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    ema_decay: float = 0.999  # per step, over weights and batch-norm buffers
    max_gradient_norm: float = 5.0
    nondigit_share: float = 0.2  # of each batch; 0 trains no background class
    distill_weight: float = 0.7  # of the teachers' targets in the loss, where there are teachers
    distortions: Distortions = field(default_factory=Distortions)


RECIPES: Mapping[str, Recipe] = {
    "fast": Recipe(
        arguments={"width": 16}, epochs=3, ema_decay=0.98, lr=8e-3, nondigit_share=0.1, distortions=NO_DISTORTIONS
    ),
    "default": Recipe(),
    "best": Recipe(epochs=40, ema_decay=0.9995),
}

_KINDS: Mapping[str, Any] = {
    **dict.fromkeys(("architecture", "schedule"), str),
    "arguments": dict,
    **dict.fromkeys(("epochs", "batch_size"), int),
    "patience": int | None,
}
# What a file of parameters may set: everything but the distortions, which have `without`.
PARAMETERS = tuple(item.name for item in dataclasses.fields(Recipe) if item.name != "distortions")


def change(recipe: Recipe, parameters: Mapping[str, Any]) -> Recipe:
    """`recipe` with other values for the fields named. Raises `ChoiceError` for a name or value that does not fit."""
    for name, value in parameters.items():
        if name not in PARAMETERS:
            raise ChoiceError(f"{name!r} is no parameter; there are {', '.join(PARAMETERS)}.")
        kinds = _KINDS.get(name, int | float)
        # bool is an int to Python, but no number of epochs.
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise ChoiceError(f"Parameter {name} cannot be {value!r}.")
    if parameters.get("architecture", recipe.architecture) != recipe.architecture:
        # Another network takes other arguments.
        recipe = dataclasses.replace(recipe, arguments={})
    changed = dataclasses.replace(recipe, **parameters)
    _check_ranges(changed)
    return changed


def _check_ranges(recipe: Recipe) -> None:
    positive = ("epochs", "batch_size", "lr", "max_gradient_norm", *(["patience"] if recipe.patience else []))
    for name in positive:
        if not 0 < getattr(recipe, name) < 1e9:
            raise ChoiceError(f"Parameter {name} must be more than 0, not {getattr(recipe, name)}.")
    for name in ("weight_decay", "label_smoothing", "ema_decay", "nondigit_share", "distill_weight"):
        highest = 1.0 if name == "distill_weight" else 0.99999
        if not 0 <= getattr(recipe, name) <= highest:
            raise ChoiceError(f"Parameter {name} must lie from 0 to {highest:g}, not at {getattr(recipe, name)}.")
    if recipe.architecture not in ARCHITECTURES:
        raise ChoiceError(f"{recipe.architecture!r} is no network; there are {', '.join(ARCHITECTURES)}.")
    if recipe.schedule not in SCHEDULES:
        raise ChoiceError(f"{recipe.schedule!r} is no schedule; there are {', '.join(SCHEDULES)}.")


def without(recipe: Recipe, names: Collection[str]) -> Recipe:
    """`recipe` with the distortions of these names switched off. Raises `ChoiceError` for an unknown one."""
    for name in names:
        if name not in DISTORTIONS:
            raise ChoiceError(f"{name!r} is no distortion; there are {', '.join(DISTORTIONS)}.")
    off: dict[str, Any] = dict.fromkeys(names, False)
    return dataclasses.replace(recipe, distortions=dataclasses.replace(recipe.distortions, **off))


def read_parameters(path: Path) -> dict[str, Any]:
    """The object in a JSON file of parameters, as tuning writes it. Raises `ChoiceError`."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ChoiceError(f"The file of parameters {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ChoiceError(f"The file of parameters {path} is not JSON.") from error
    if not isinstance(values, dict):
        raise ChoiceError(f"The file of parameters {path} is not a JSON object.")
    return values


def network_arguments(recipe: Recipe) -> dict[str, int | float | bool]:
    """What the recipe's architecture is called with."""
    return {**recipe.arguments, "background": recipe.nondigit_share > 0}


def build_network(recipe: Recipe) -> nn.Module:
    """The recipe's network with random weights. Raises `ChoiceError` where it does not take the recipe's arguments."""
    arguments = network_arguments(recipe)
    try:
        return ARCHITECTURES[recipe.architecture](**arguments)
    except (TypeError, RuntimeError, ValueError) as error:
        raise ChoiceError(f"Network {recipe.architecture} cannot be made with {arguments}: {error}.") from error
