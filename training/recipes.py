"""Recipes: all hyperparameters of a training run as one frozen value, and named presets."""

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


class UsageError(ValueError):
    """An option or parameter is invalid; the message is one sentence that names the valid values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All hyperparameters of a training run, with its data; the seed and user-supplied pictures are not included."""

    data: tuple[str, ...] = ("mnist",)
    repeats: Mapping[str, int] = field(default_factory=dict)  # how often an epoch has each digit of a data set
    nondigits: tuple[str, ...] = ()  # sets of real non-digits
    n_composed: int = 0  # composed pictures, whose candidates are digits and non-digits
    architecture: str = "cnn"
    arguments: Mapping[str, int | float | bool] = field(default_factory=dict)
    epochs: int = 20
    batch_size: int = 256
    lr: float = 4e-3  # maximum of the schedule
    schedule: str = "one-cycle"
    patience: int | None = None  # early stopping: epochs without a better validation loss; None for no early stopping
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    ema_decay: float = 0.999  # per step, over weights and batch-norm buffers
    max_gradient_norm: float = 5.0
    nondigit_share: float = 0.2  # of each batch; 0 means no background class
    real_share: float = 0.42  # of the non-digits are real, if there are any
    composed_share: float = 0.16  # of the non-digits are wrong candidates of composed pictures, if there are any
    distill_weight: float = 0.7  # of the teachers' predictions in the loss, if there are teachers
    distortions: Distortions = field(default_factory=Distortions)


RECIPES: Mapping[str, Recipe] = {
    "fast": Recipe(
        arguments={"width": 16}, epochs=3, ema_decay=0.98, lr=8e-3, nondigit_share=0.1, distortions=NO_DISTORTIONS
    ),
    "default": Recipe(),
    "mnist": Recipe(epochs=40, ema_decay=0.9995),
    "best": Recipe(
        data=("mnist", "open", "printed"),
        repeats={"semeion": 2},
        nondigits=("open", "printed"),
        n_composed=8_000,
        epochs=50,
        ema_decay=0.9995,
        nondigit_share=0.25,
    ),
}

_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(("architecture", "schedule"), str),
    **dict.fromkeys(("arguments", "repeats"), dict),
    **dict.fromkeys(("data", "nondigits"), tuple),
    **dict.fromkeys(("epochs", "batch_size", "n_composed"), int),
    "patience": int | None,
}
# Fields that a parameter file may set; for distortions see `disable_distortions`.
PARAMETERS = tuple(item.name for item in dataclasses.fields(Recipe) if item.name != "distortions")


def override(recipe: Recipe, parameters: Mapping[str, Any]) -> Recipe:
    """`recipe` with these fields replaced. Raises `UsageError` for an invalid name or value."""
    for name, value in parameters.items():
        if name not in PARAMETERS:
            raise UsageError(f"{name!r} is not a parameter; choose from {', '.join(PARAMETERS)}.")
        # bool is a subclass of int, but not a valid number.
        if not isinstance(value, _TYPES.get(name, int | float)) or isinstance(value, bool):
            raise UsageError(f"Parameter {name} cannot be {value!r}.")
    if parameters.get("architecture", recipe.architecture) != recipe.architecture:
        recipe = dataclasses.replace(recipe, arguments={})  # those were for the other architecture
    recipe = dataclasses.replace(recipe, **parameters)
    _check_ranges(recipe)
    return recipe


def _check_ranges(recipe: Recipe) -> None:
    positive = ("epochs", "batch_size", "lr", "max_gradient_norm", *(["patience"] if recipe.patience else []))
    for name in positive:
        if not 0 < getattr(recipe, name) < 1e9:
            raise UsageError(f"Parameter {name} must be more than 0, not {getattr(recipe, name)}.")
    shares = ("distill_weight", "real_share", "composed_share")
    for name in ("weight_decay", "label_smoothing", "ema_decay", "nondigit_share", *shares):
        highest = 1.0 if name in shares else 0.99999
        if not 0 <= getattr(recipe, name) <= highest:
            raise UsageError(f"Parameter {name} must be from 0 to {highest:g}, not {getattr(recipe, name)}.")
    if recipe.n_composed < 0:
        raise UsageError(f"Parameter n_composed must be at least 0, not {recipe.n_composed}.")
    if recipe.real_share + recipe.composed_share > 1:
        raise UsageError("Parameters real_share and composed_share must be at most 1 together.")
    for name, value, valid in (
        ("network", recipe.architecture, ARCHITECTURES),
        ("schedule", recipe.schedule, SCHEDULES),
    ):
        if value not in valid:
            raise UsageError(f"{value!r} is not a {name}; choose from {', '.join(valid)}.")


def disable_distortions(recipe: Recipe, names: Collection[str]) -> Recipe:
    """`recipe` without the distortions named. Raises `UsageError` for an unknown one."""
    for name in names:
        if name not in DISTORTIONS:
            raise UsageError(f"{name!r} is not a distortion; choose from {', '.join(DISTORTIONS)}.")
    off: dict[str, Any] = dict.fromkeys(names, False)
    return dataclasses.replace(recipe, distortions=dataclasses.replace(recipe.distortions, **off))


def read_parameters(path: Path) -> dict[str, Any]:
    """The JSON object in a parameter file, as tuning writes it. Raises `UsageError`."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"The parameter file {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UsageError(f"The parameter file {path} is not JSON.") from error
    if not isinstance(values, dict):
        raise UsageError(f"The parameter file {path} does not hold a JSON object.")
    return values


def network_arguments(recipe: Recipe) -> dict[str, int | float | bool]:
    """The arguments of the recipe's architecture."""
    return {**recipe.arguments, "background": recipe.nondigit_share > 0}


def build_network(recipe: Recipe) -> nn.Module:
    """The recipe's network with random weights. Raises `UsageError` if it does not take the recipe's arguments."""
    arguments = network_arguments(recipe)
    try:
        return ARCHITECTURES[recipe.architecture](**arguments)
    except (TypeError, RuntimeError, ValueError) as error:
        raise UsageError(f"Network {recipe.architecture} cannot be built with {arguments}: {error}.") from error
