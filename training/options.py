"""The trainer's command line, and the recipe that it asks for."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from config import Settings
from model import ARCHITECTURES
from training.device import DEVICES
from training.recipes import (
    DISTORTIONS,
    RECIPES,
    SCHEDULES,
    Recipe,
    change,
    read_parameters,
    without,
)
from training.sources import FOLDER, PUBLISHED


def read_options(settings: Settings, arguments: list[str], description: str) -> argparse.Namespace:
    """Read the command line; exits with status 2 and the valid names where it is wrong."""
    is_tuning = arguments[:1] == ["tune"]
    parser = argparse.ArgumentParser(
        prog="train_model.py tune" if is_tuning else "train_model.py",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_recipe(parser)
    _add_run(parser)
    if is_tuning:
        _add_tuning(parser)
    else:
        _add_outputs(parser, settings)
    options = parser.parse_args(arguments[1:] if is_tuning else arguments)
    options.is_tuning = is_tuning
    options.data = list(dict.fromkeys(options.data or ["mnist"]))
    return options


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("recipe", "what is not given here is the recipe's")
    group.add_argument("--recipe", choices=RECIPES, default="default", help="named set of choices (default: default)")
    group.add_argument("--params", type=Path, metavar="FILE", help="JSON file of choices, as tuning writes it")
    group.add_argument("--model", choices=ARCHITECTURES, help="network to train")
    group.add_argument("--epochs", type=_count, metavar="N", help="passes over the training digits")
    group.add_argument("--batch-size", type=_count, metavar="N", help="samples in a step, over all processes")
    group.add_argument("--lr", type=_positive, metavar="X", help="highest learning rate")
    group.add_argument("--schedule", choices=SCHEDULES, help="how the learning rate changes")
    group.add_argument(
        "--patience", type=_count, metavar="N", help="stop after N epochs without a better validation loss"
    )
    group.add_argument(
        "--without", nargs="+", action="extend", choices=DISTORTIONS, default=[], help="distortions to leave out"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("run")
    sources = f"{', '.join(PUBLISHED)} or {FOLDER}PATH with sub-folders 0 to 9 of pictures; any mix"
    group.add_argument("--data", nargs="+", action="extend", metavar="DATA", help=f"{sources} (default: mnist)")
    group.add_argument("--seed", type=int, default=0, help="seed of weights, order and distortions")
    group.add_argument("--device", choices=DEVICES, default="auto", help="where to compute (default: auto)")
    group.add_argument("--reports", type=Path, default=Path("reports"), metavar="DIR", help="folder for reports")


def _add_outputs(parser: argparse.ArgumentParser, settings: Settings) -> None:
    group = parser.add_argument_group("outputs")
    group.add_argument("--output", type=Path, default=settings.model_path, help="checkpoint file to write")
    group.add_argument("--resume", action="store_true", help="continue the interrupted training of this output")
    group.add_argument("--members", type=_count, default=1, metavar="K", help="train K networks, to NAME-0.pth and on")
    group.add_argument(
        "--distill", nargs="+", type=Path, default=[], metavar="CKPT", help="learn from these networks, too"
    )
    group.add_argument("--no-plots", action="store_true", help="write no PNG plots")
    group.add_argument("--tensorboard", type=Path, metavar="DIR", help="show the training in TensorBoard")


def _add_tuning(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("tuning")
    group.add_argument("--trials", type=_count, default=20, metavar="N", help="trainings to make (default: 20)")
    group.add_argument("--storage", metavar="URL", help="database of the study (default: SQLite in the reports folder)")
    group.add_argument("--study", default="digits", metavar="NAME", help="several runs share a study by its name")
    group.add_argument("--params-out", type=Path, metavar="FILE", help="where the best choices go, for --params")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more, not {text}")
    return int(text)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text}")
    return value


def build_recipe(options: argparse.Namespace) -> Recipe:
    """The named recipe, with what the file of parameters and then the command line say. Raises `ChoiceError`."""
    recipe = RECIPES[options.recipe]
    if options.params:
        recipe = change(recipe, read_parameters(options.params))
    given = {
        "architecture": options.model,
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "lr": options.lr,
        "schedule": options.schedule,
        "patience": options.patience,
    }
    recipe = change(recipe, {name: value for name, value in given.items() if value is not None})
    return without(recipe, options.without)
