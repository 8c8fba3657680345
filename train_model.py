"""Train a digit network and write `mnist_model.pth` with its metrics.

python train_model.py                                  # the default recipe, on MNIST
python train_model.py --recipe best                    # the recipe of the shipped weights
python train_model.py --data mnist folder:photos strokes:pens.jsonl --nondigits open folder:others
python train_model.py --resume                         # continue after Ctrl-C, or a killed process
python train_model.py --members 5 --output runs/m.pth  # an ensemble, runs/m-0.pth to runs/m-4.pth
python train_model.py --distill runs/m-*.pth           # one network from an ensemble
python train_model.py export mnist_model.pth           # write mnist_model.onnx again
python train_model.py tune --trials 30 --params-out best.json
torchrun --nproc-per-node=2 train_model.py             # several processes, or GPUs
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

try:
    import torch
except ImportError:
    print("train_model: PyTorch is not installed, get it with: pip install -r requirements.txt", file=sys.stderr)
    sys.exit(2)

from config import Settings, SettingsError
from model import ARCHITECTURES, load_checkpoint
from model_file import CheckpointError
from training.compose import compose
from training.datasets import DATASETS, FOLDER, OPEN, OPEN_DIGITS, OPEN_NONDIGITS, STROKES, DataError, Split, load_split
from training.distributed import DEVICES, World, choose_device, process_group
from training.ensemble import Member, Teachers, list_members
from training.export import export, save_last_good
from training.loop import DivergedError, Epoch, Interrupted, Progress, fit, initialize
from training.onnx_export import export_onnx
from training.recipes import (
    DISTORTIONS,
    RECIPES,
    SCHEDULES,
    Recipe,
    UsageError,
    disable_distortions,
    override,
    read_parameters,
)
from training.reports import epoch_reporter, format_metrics, record_in_manifest, write_reports
from training.training_state import Stateful, load_training_state, save_training_state
from training.tuning import tune, write_parameters


def main(arguments: list[str] | None = None) -> int:
    """Run the trainer. The exit status is 0; 1 if training failed; 2 for wrong usage; 130 if it was interrupted."""
    try:
        settings = Settings.load()
        arguments = sys.argv[1:] if arguments is None else arguments
        if arguments[:1] == ["export"]:
            export_checkpoints(arguments[1:])
            return 0
        options = parse_arguments(settings, arguments)
        device = choose_device(options.device)
        with process_group(device) as world:
            if options.is_tuning:
                tune_recipe(options, settings.data_dir, device)
            else:
                train(options, settings.data_dir, device, world)
    except (SettingsError, UsageError, DataError, CheckpointError) as error:
        return _fail(str(error), 2)
    except (DivergedError, OSError) as error:
        return _fail(str(error), 1)
    except Interrupted:
        return _fail("interrupted and saved; the same command with --resume continues the training", 130)
    except KeyboardInterrupt:
        return _fail("interrupted; the same command with --resume continues after the last finished epoch", 130)
    return 0


def _fail(message: str, status: int) -> int:
    print(f"train_model: {message}", file=sys.stderr)
    return status


# ---- training ----


def train(options: argparse.Namespace, data_dir: Path, device: torch.device, world: World) -> None:
    """Train the network, or each member of an ensemble."""
    recipe = build_recipe(options)
    teachers = load_teachers(options.distill, recipe, device)
    split = load_data(recipe, data_dir, world)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    for member in list_members(options.output, options.members, options.seed):
        if not (options.resume and options.members > 1 and member.is_finished):
            train_member(member, recipe, split, teachers, options, device, world)


def load_teachers(paths: list[Path], recipe: Recipe, device: torch.device) -> Teachers | None:
    """The networks to distill, if any. Raises `CheckpointError` or `UsageError`."""
    checkpoints = [load_checkpoint(path) for path in paths]
    return Teachers(checkpoints, device, background=recipe.nondigit_share > 0) if checkpoints else None


def load_data(recipe: Recipe, data_dir: Path, world: World) -> Split:
    """The recipe's data; the main process loads it first, so that only one process downloads. Raises `DataError`."""
    if not world.is_main_process:
        world.barrier()
    split = load_split(recipe.data, data_dir, recipe.nondigits, recipe.repeats)
    if recipe.n_composed:
        composed = compose(split.training.digits, recipe.n_composed, 0, data_dir / "cache")
        split = dataclasses.replace(split, training=dataclasses.replace(split.training, composed=composed))
    if world.is_main_process:
        world.barrier()
    return split


def train_member(
    member: Member,
    recipe: Recipe,
    split: Split,
    teachers: Teachers | None,
    options: argparse.Namespace,
    device: torch.device,
    world: World,
) -> None:
    """Train one network, from the start or from its saved state, and write its checkpoint and reports."""
    tensorboard = member.folder(options.tensorboard) if options.tensorboard else None
    report = epoch_reporter(recipe, tensorboard, world)
    network, average, optimizer, scheduler, batches = initialize(recipe, split.training, member.seed, device, world)
    validation, progress = split.validation.to(device), Progress()

    run = describe_run(member, recipe, split, teachers, device, world)
    parts: dict[str, Stateful] = {"network": network, "average": average, "optimizer": optimizer}
    parts |= {"scheduler": scheduler, "progress": progress}
    if options.resume and (options.members == 1 or member.state.exists()):
        load_training_state(member.state, run, parts, world)

    def save() -> None:
        save_training_state(member.state, run, parts, world)

    try:
        fit(
            network,
            average,
            optimizer,
            scheduler,
            batches,
            validation,
            recipe,
            progress,
            teachers=teachers,
            world=world,
            save=save,
            report=report,
        )
    except DivergedError as error:
        if not world.is_main_process:
            raise
        saved = save_last_good(average, progress, recipe, split, member)
        raise DivergedError(f"{error}; {saved}. A lower --lr may help.") from error

    if world.is_main_process:
        checkpoint = export(average, progress, recipe, split, member)
        folder = member.folder(options.reports)
        write_reports(checkpoint, run, recipe, split, progress, member, folder, plots=not options.no_plots)
        print(f"wrote {member.output}, model {checkpoint.id}: {format_metrics(checkpoint.metrics)}", flush=True)
        member.state.unlink(missing_ok=True)
    world.barrier()


def describe_run(
    member: Member,
    recipe: Recipe,
    split: Split,
    teachers: Teachers | None,
    device: torch.device,
    world: World,
) -> dict[str, Any]:
    """Everything that determines the weights, as plain values: a training is resumed only if all of it is the same."""
    return {
        "recipe": dataclasses.asdict(recipe),
        "digits": len(split.training),
        "seed": member.seed,
        "device": device.type,
        "processes": world.size,
        "teachers": teachers.ids if teachers else [],
    }


# ---- tuning ----


def tune_recipe(options: argparse.Namespace, data_dir: Path, device: torch.device) -> None:
    """Search for the recipe with the lowest validation loss, and write its parameters."""
    base = build_recipe(options)
    split = load_data(base, data_dir, World())

    def objective(recipe: Recipe, report: Callable[[Epoch], None]) -> float:
        progress = Progress()
        parts = initialize(recipe, split.training, options.seed, device, World())
        fit(*parts, split.validation.to(device), recipe, progress, report=report)
        return progress.best_loss

    best = tune(objective, base, options.trials, options.storage, options.study, options.reports, options.seed)
    print(f"best parameters: {json.dumps(best)}")
    if options.params_out:
        write_parameters(best, options.params_out)
        print(f"wrote {options.params_out}; train with --params {options.params_out}")


# ---- export ----


def export_checkpoints(arguments: list[str]) -> None:
    """Write the ONNX files beside checkpoint files. Raises `CheckpointError` or `OSError`."""
    parser = argparse.ArgumentParser(prog="train_model.py export", description=export_checkpoints.__doc__)
    parser.add_argument("checkpoints", nargs="+", type=Path, metavar="CKPT", help="a file that was trained before")
    for path in parser.parse_args(arguments).checkpoints:
        onnx_path = export_onnx(path)
        record_in_manifest(path, load_checkpoint(path).id, {"onnx": onnx_path})
        print(f"wrote {onnx_path}")


# ---- command line ----


def parse_arguments(settings: Settings, arguments: list[str]) -> argparse.Namespace:
    """Parse the command line; exits with status 2 if it is invalid."""
    is_tuning = arguments[:1] == ["tune"]
    parser = argparse.ArgumentParser(
        prog="train_model.py tune" if is_tuning else "train_model.py",
        description=__doc__,
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
    return options


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("recipe", "options that are not given are the recipe's")
    group.add_argument("--recipe", choices=RECIPES, default="default", help="named recipe (default: default)")
    group.add_argument("--params", type=Path, metavar="FILE", help="JSON file of parameters, as tuning writes it")
    group.add_argument("--model", choices=ARCHITECTURES, help="network to train")
    files = f"{FOLDER}DIR of pictures or {STROKES}FILE of JSON lines"
    digits = f"{', '.join([*DATASETS, *OPEN_DIGITS])}, {OPEN} (the last {len(OPEN_DIGITS)})"
    group.add_argument("--data", nargs="+", action="extend", metavar="DATA", help=f"digits: {digits}, {files}")
    others = f"{', '.join(OPEN_NONDIGITS)}, {OPEN} (all of these)"
    group.add_argument(
        "--nondigits", nargs="*", action="extend", metavar="DATA", help=f"real non-digits: {others}, {files}"
    )
    group.add_argument("--composed", type=int, metavar="N", help="pictures to compose, to learn from their candidates")
    group.add_argument("--epochs", type=_count, metavar="N", help="passes over the training digits")
    group.add_argument("--batch-size", type=_count, metavar="N", help="samples in a step, over all processes")
    group.add_argument("--lr", type=_positive, metavar="X", help="highest learning rate")
    group.add_argument("--schedule", choices=SCHEDULES, help="how the learning rate changes")
    group.add_argument(
        "--patience", type=_count, metavar="N", help="stop after N epochs without a better validation loss"
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
    group.add_argument("--resume", action="store_true", help="continue the interrupted training of this output")
    group.add_argument("--members", type=_count, default=1, metavar="K", help="train K networks, to NAME-0.pth and on")
    group.add_argument(
        "--distill",
        nargs="+",
        type=Path,
        default=[],
        metavar="CKPT",
        help="also learn the mean predictions of these networks",
    )
    group.add_argument("--no-plots", action="store_true", help="write no PNG plots")
    group.add_argument("--tensorboard", type=Path, metavar="DIR", help="write the training for TensorBoard")


def _add_tuning(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("tuning")
    group.add_argument("--trials", type=_count, default=20, metavar="N", help="number of trials (default: 20)")
    group.add_argument("--storage", metavar="URL", help="database of the study (default: SQLite in the reports folder)")
    group.add_argument(
        "--study", default="digits", metavar="NAME", help="name of the study; several machines may share one"
    )
    group.add_argument("--params-out", type=Path, metavar="FILE", help="write the best parameters here, for --params")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer, 1 or more, not {text}")
    return int(text)


def _positive(text: str) -> float:
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


if __name__ == "__main__":
    sys.exit(main())
