"""The trainer's command line."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from config import Settings
from model import ARCHITECTURES
from training.datasets import CORRECTIONS, DATASETS, FOLDER, OPEN, OPEN_DIGITS, OPEN_NONDIGITS, PRINTED, STROKES
from training.distributed import DEVICES
from training.recipes import (
    DISTORTIONS,
    RECIPES,
    SCHEDULES,
    Recipe,
    disable_distortions,
    override,
    read_parameters,
)


def parse_arguments(description: str | None, settings: Settings, arguments: list[str]) -> argparse.Namespace:
    """Parse the command line; exits with status 2 if it is invalid."""
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
    parser.set_defaults(output=settings.model_path, model_path=settings.model_path)
    options = parser.parse_args(arguments[1:] if is_tuning else arguments)
    if not is_tuning and options.promote_if_not_worse and options.members > 1:
        parser.error("--promote-if-not-worse is for one network, not for --members")
    options.is_tuning = is_tuning
    return options


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("recipe", "the defaults are those of the recipe")
    group.add_argument("--recipe", choices=RECIPES, default="default", help="named recipe (default: default)")
    group.add_argument("--params", type=Path, metavar="FILE", help="JSON file of parameters, as tuning writes it")
    group.add_argument("--model", choices=ARCHITECTURES, help="network to train")
    files = f"{FOLDER}DIR of pictures or {STROKES}FILE of JSON lines"
    digits = f"{', '.join([*DATASETS, *OPEN_DIGITS])}, {OPEN} (the last {len(OPEN_DIGITS)}), {PRINTED}"
    saved = f"{CORRECTIONS}FILE saved from the page"
    group.add_argument("--data", nargs="+", action="extend", metavar="DATA", help=f"digits: {digits}, {files}, {saved}")
    others = f"{', '.join(OPEN_NONDIGITS)}, {OPEN} (all of these), {PRINTED}"
    group.add_argument(
        "--nondigits", nargs="*", action="extend", metavar="DATA", help=f"real non-digits: {others}, {files}"
    )
    group.add_argument("--composed", type=int, metavar="N", help="number of pictures to compose (see docs/training.md)")
    group.add_argument("--epochs", type=count, metavar="N", help="passes over the training digits")
    group.add_argument("--batch-size", type=count, metavar="N", help="samples per step, over all processes")
    group.add_argument("--lr", type=positive, metavar="X", help="peak learning rate")
    group.add_argument("--schedule", choices=SCHEDULES, help="learning rate schedule")
    group.add_argument(
        "--patience", type=count, metavar="N", help="stop after N epochs without a better validation loss"
    )
    group.add_argument(
        "--without", nargs="+", action="extend", choices=DISTORTIONS, default=[], help="distortions to disable"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("run")
    group.add_argument("--seed", type=int, default=0, help="seed of weights, order and distortions (default: 0)")
    group.add_argument("--device", choices=DEVICES, default="auto", help="device to train on (default: auto)")
    group.add_argument(
        "--reports", type=Path, default=Path("reports"), metavar="DIR", help="folder for reports (default: reports)"
    )


def _add_outputs(parser: argparse.ArgumentParser, settings: Settings) -> None:
    group = parser.add_argument_group("outputs")
    group.add_argument("--output", type=Path, default=settings.model_path, help="checkpoint file to write")
    group.add_argument(
        "--promote-if-not-worse",
        action="store_true",
        help="replace the output only if the new network is not worse; else write NAME.rejected.pth and exit with 1",
    )
    group.add_argument("--resume", action="store_true", help="continue the interrupted training of this output")
    group.add_argument(
        "--members", type=count, default=1, metavar="K", help="train K networks: NAME-0.pth, NAME-1.pth, ..."
    )
    group.add_argument(
        "--distill",
        nargs="+",
        type=Path,
        default=[],
        metavar="CKPT",
        help="also learn the mean predictions of these networks",
    )
    group.add_argument("--no-plots", action="store_true", help="write no PNG plots")
    group.add_argument("--tensorboard", type=Path, metavar="DIR", help="write TensorBoard logs")


def _add_tuning(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("tuning")
    group.add_argument("--trials", type=count, default=20, metavar="N", help="number of trials (default: 20)")
    group.add_argument("--storage", metavar="URL", help="database of the study (default: SQLite in the reports folder)")
    group.add_argument(
        "--study", default="digits", metavar="NAME", help="name of the study; several machines may share one"
    )
    group.add_argument("--params-out", type=Path, metavar="FILE", help="write the best parameters here, for --params")


def count(text: str) -> int:
    """The type of options that are at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer, 1 or more, not {text}")
    return int(text)


def positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text}")
    return value


def build_recipe(options: argparse.Namespace) -> Recipe:
    """The named recipe, overridden by the parameter file and then by the command line. Raises `UsageError`."""
    recipe = RECIPES[options.recipe]
    if options.params:
        recipe = override(recipe, read_parameters(options.params))
    given = {
        "data": options.data and tuple(options.data),
        "nondigits": None if options.nondigits is None else tuple(options.nondigits),
        "n_composed": options.composed,
        "architecture": options.model,
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "lr": options.lr,
        "schedule": options.schedule,
        "patience": options.patience,
    }
    recipe = override(recipe, {name: value for name, value in given.items() if value is not None})
    return disable_distortions(recipe, options.without)
