"""Train a digit network and write `mnist_model.pth` with its metrics.

python train_model.py                                  # the default recipe, on MNIST
python train_model.py --recipe mnist                   # MNIST alone, for longer
python train_model.py --recipe best                    # the recipe of the pretrained weights, with open handwriting
python train_model.py --data mnist folder:photos strokes:pens.jsonl --nondigits open folder:others
python train_model.py --data mnist open corrections:corrections.jsonl --promote-if-not-worse
python train_model.py --resume                         # continue after Ctrl-C, or a killed process
python train_model.py --members 5 --output runs/m.pth  # an ensemble, runs/m-0.pth to runs/m-4.pth
python train_model.py --distill runs/m-*.pth           # one network from an ensemble
python train_model.py numbers                          # the reader of whole numbers, to number_model.pth
python train_model.py strokes                          # the reader of pen strokes, to stroke_model.pth
python train_model.py export mnist_model.pth           # write mnist_model.onnx again
python train_model.py tune --trials 30 --params-out best.json
torchrun --nproc-per-node=2 train_model.py             # several processes, or GPUs
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

try:
    import torch
except ImportError:
    print("train_model: PyTorch is not installed, get it with: pip install -r requirements.txt", file=sys.stderr)
    sys.exit(2)

from checkpoint import Checkpoint, load_checkpoint
from config import Settings, SettingsError
from model_file import CheckpointError, purpose_of, verify_purpose
from training.composed_pictures import compose
from training.datasets import DataError, Split, load_split
from training.distributed import World, choose_device, process_group
from training.ensemble import Member, Teachers, list_members
from training.evaluation import Baseline, NotPromotedError, open_baseline
from training.export import best_network, calibrate, export, save_last_good
from training.loop import DivergedError, Epoch, Interrupted, Progress, fit, initialize
from training.numbers.loop import PATH_READER, STRIP_READER, NumberRecipe, train_numbers
from training.onnx_export import export_onnx, save_model
from training.options import build_recipe, count, parse_arguments, positive
from training.recipes import Recipe, UsageError
from training.reports import describe_plan, epoch_reporter, format_metrics, record_in_manifest, write_reports
from training.training_state import Stateful, load_training_state, save_training_state, state_path
from training.tuning import tune, write_parameters


def main(arguments: list[str] | None = None) -> int:
    """Run the trainer. The exit status is 0; 1 if training failed; 2 for wrong usage; 130 if it was interrupted."""
    try:
        settings = Settings.load()
        arguments = sys.argv[1:] if arguments is None else arguments
        if arguments[:1] == ["export"]:
            export_checkpoints(arguments[1:])
            return 0
        if arguments[:1] in (["numbers"], ["strokes"]):
            train_reader(arguments[0], arguments[1:], settings)
            return 0
        options = parse_arguments(__doc__, settings, arguments)
        device = choose_device(options.device)
        with process_group(device) as world:
            if options.is_tuning:
                tune_recipe(options, settings.data_dir, device)
            else:
                train(options, settings.data_dir, device, world)
    except (SettingsError, UsageError, DataError, CheckpointError) as error:
        return _fail(str(error), 2)
    except (DivergedError, NotPromotedError, OSError) as error:
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
    members = list_members(options.output, options.members, options.seed)
    if world.is_main_process:
        if_not_worse = options.promote_if_not_worse
        print(describe_plan(recipe, members, options.reports, device, if_not_worse=if_not_worse), flush=True)
    teachers = load_teachers(options.distill, recipe, device)
    split = load_data(recipe, data_dir, world, options)
    baseline = None
    if options.promote_if_not_worse and options.output.exists() and world.is_main_process:
        baseline = open_baseline(options.output, data_dir)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    for member in members:
        if not (options.resume and options.members > 1 and member.is_finished):
            train_member(member, recipe, split, teachers, baseline, options, device, world)


def load_teachers(paths: list[Path], recipe: Recipe, device: torch.device) -> Teachers | None:
    """The networks to distill, if any. Raises `CheckpointError` or `UsageError`."""
    checkpoints = [load_checkpoint(path) for path in paths]
    return Teachers(checkpoints, device, background=recipe.nondigit_share > 0) if checkpoints else None


def load_data(recipe: Recipe, data_dir: Path, world: World, options: argparse.Namespace) -> Split:
    """The recipe's data; the main process loads it first, so that only one process downloads. Raises `DataError`."""
    checkpoint = next((path for path in (options.output, options.model_path) if path.exists()), None)
    if not world.is_main_process:
        world.barrier()
    split = load_split(recipe.data, data_dir, recipe.nondigits, recipe.repeats, checkpoint)
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
    baseline: Baseline | None,
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

    losses: list[str] = []
    if world.is_main_process:
        checkpoint = calibrate(best_network(average, progress), recipe, split, member.seed)
        losses = baseline.list_losses(checkpoint) if baseline else []
        target = member.rejected if losses else member
        write_results(checkpoint, run, recipe, split, progress, target, options)
        member.state.unlink(missing_ok=True)
    world.barrier()
    if losses:
        place = f"{member.output} is unchanged, and the new network is in {member.rejected.output}"
        raise NotPromotedError(f"not promoted, because {', and '.join(losses)}; {place}")


def write_results(
    checkpoint: Checkpoint,
    run: dict[str, Any],
    recipe: Recipe,
    split: Split,
    progress: Progress,
    member: Member,
    options: argparse.Namespace,
) -> None:
    """Write a trained network's checkpoint and reports. Raises `OSError`."""
    checkpoint = export(checkpoint, split, member)
    folder = member.folder(options.reports)
    files = write_reports(checkpoint, run, recipe, split, progress, member, folder, plots=not options.no_plots)
    print(f"wrote {member.output}, model {checkpoint.id}: {format_metrics(checkpoint.metrics)}")
    print(f"and {', '.join(map(str, files))}; more in {folder}", flush=True)


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
    split = load_data(base, data_dir, World(), options)

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


# ---- the readers of whole numbers and of pen strokes ----


def train_reader(name: str, arguments: list[str], settings: Settings) -> None:
    """Train a reader on composed numbers. Raises `DataError`, `UsageError` or `OSError`."""
    reader, output = {
        "numbers": (STRIP_READER, settings.number_model_path),
        "strokes": (PATH_READER, settings.stroke_model_path),
    }[name]
    parser = argparse.ArgumentParser(prog=f"train_model.py {name}", description="Train a reader on composed numbers.")
    recipe = NumberRecipe()
    parser.add_argument(
        "--numbers",
        type=count,
        default=recipe.n_numbers,
        metavar="N",
        help=f"to train on (default: {recipe.n_numbers})",
    )
    parser.add_argument(
        "--lr", type=positive, default=recipe.lr, metavar="X", help=f"peak learning rate (default: {recipe.lr})"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and numbers (default: 0)")
    parser.add_argument("--start", type=Path, metavar="CKPT", help="checkpoint to fine-tune (default: none)")
    parser.add_argument("--output", type=Path, default=output, help="checkpoint file to write")
    parser.add_argument("--resume", action="store_true", help="continue the interrupted training of this output")
    options = parser.parse_args(arguments)
    start = load_checkpoint(options.start) if options.start else None
    if start:
        verify_purpose(start.info, options.start, purpose_of(reader.architecture))
    recipe = dataclasses.replace(recipe, n_numbers=options.numbers, lr=options.lr, seed=options.seed)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    state = state_path(options.output)
    checkpoint = train_numbers(reader, recipe, settings.data_dir, state, start=start, resume=options.resume)
    save_model(checkpoint, options.output)
    state.unlink(missing_ok=True)
    right = checkpoint.metrics["val_accuracy"]
    print(f"wrote {options.output}, model {checkpoint.id}: {right:.2%} of composed numbers read right")


# ---- export ----


def export_checkpoints(arguments: list[str]) -> None:
    """Write the ONNX files beside checkpoint files. Raises `CheckpointError` or `OSError`."""
    parser = argparse.ArgumentParser(
        prog="train_model.py export", description="Write the ONNX file beside each checkpoint."
    )
    parser.add_argument("checkpoints", nargs="+", type=Path, metavar="CKPT", help="checkpoint to export")
    for path in parser.parse_args(arguments).checkpoints:
        onnx_path = export_onnx(path)
        record_in_manifest(path, load_checkpoint(path).id, {"onnx": onnx_path})
        print(f"wrote {onnx_path}")


if __name__ == "__main__":
    sys.exit(main())
