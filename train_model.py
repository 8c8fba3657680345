"""Train a digit network and write `mnist_model.pth` with its metrics.

python train_model.py                                  # the default recipe, on MNIST
python train_model.py --recipe best                    # what made the shipped weights
python train_model.py --data mnist folder:photos       # with one's own pictures
python train_model.py --resume                         # continue after Ctrl-C, or a killed process
python train_model.py --members 5 --output runs/m.pth  # an ensemble, runs/m-0.pth to runs/m-4.pth
python train_model.py --distill runs/m-*.pth           # one network from an ensemble
python train_model.py tune --trials 30 --params-out best.json
torchrun --nproc-per-node=2 train_model.py             # several processes, or GPUs
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from config import Settings, SettingsError
from model import CheckpointError, load_checkpoint
from training.data import DataError
from training.device import choose_device
from training.distill import Teachers
from training.distributed import World, joined
from training.finish import finish
from training.interrupt import Interrupted, listening
from training.loop import DivergedError, Epoch, fit
from training.members import list_members
from training.options import build_recipe, read_options
from training.recipes import ChoiceError, Recipe
from training.run import identify, prepare, run
from training.sources import Split, load_split
from training.state import load_state
from training.tuning import tune, write_parameters
from training.watch import Watch


def main(arguments: list[str] | None = None) -> int:
    """Run the trainer. The exit status is 0; 1 when training failed; 2 for wrong usage; 130 when it was interrupted."""
    try:
        settings = Settings.load()
        options = read_options(settings, sys.argv[1:] if arguments is None else arguments, __doc__ or "")
        device = choose_device(options.device)
        with joined(device) as world:
            if options.is_tuning:
                search(settings, options, device)
            else:
                train(settings, options, device, world)
    except (SettingsError, ChoiceError, DataError, CheckpointError) as error:
        return _stop(str(error), 2)
    except (DivergedError, OSError) as error:
        return _stop(str(error), 1)
    except Interrupted:
        return _stop("interrupted; what was learned is saved: the same command with --resume goes on", 130)
    except KeyboardInterrupt:
        return _stop("interrupted; if an epoch was finished, the same command with --resume goes on behind it", 130)
    return 0


def _stop(sentence: str, status: int) -> int:
    print(f"train_model: {sentence}", file=sys.stderr)
    return status


def train(settings: Settings, options: argparse.Namespace, device: torch.device, world: World) -> None:
    """Data to checkpoints, one for each member. Raises what `main` turns into an exit status."""
    recipe = build_recipe(options)
    teachers = load_teachers(options.distill, recipe, device)
    split = load_in_turn(options.data, settings.data_dir, world)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    watch = Watch(options.tensorboard) if options.tensorboard and world.is_writer else None
    for member in list_members(options.output, options.members, options.seed):
        if options.resume and options.members > 1 and member.is_finished:
            continue
        training = prepare(recipe, split, device, member.seed, world, teachers)
        identity = identify(training, options.data, member.seed)
        if options.resume and (options.members == 1 or member.state.exists()):
            training.load_state_dict(load_state(identity, member.state))
        run(training, identity, member, watch)
        if world.is_writer:
            finish(training, split, member, options.data, options.reports, plots=not options.no_plots)
            member.state.unlink(missing_ok=True)
        world.wait()


def load_teachers(paths: list[Path], recipe: Recipe, device: torch.device) -> Teachers | None:
    """The networks to learn from, if any. Raises `CheckpointError` or `ChoiceError`."""
    if not paths:
        return None
    teachers = Teachers([load_checkpoint(path) for path in paths], device)
    teachers.check(recipe.nondigit_share > 0)
    return teachers


def load_in_turn(specs: list[str], root: Path, world: World) -> Split:
    """The data; the writer goes first, so that nothing is fetched or made twice. Raises `DataError`."""
    if not world.is_writer:
        world.wait()
    split = load_split(specs, root)
    if world.is_writer:
        world.wait()
    return split


def search(settings: Settings, options: argparse.Namespace, device: torch.device) -> None:
    """Tune the recipe on validation alone, and write what was best."""
    base = build_recipe(options)
    split = load_split(options.data, settings.data_dir)

    def objective(recipe: Recipe, tell: Callable[[Epoch], None]) -> float:
        training = prepare(recipe, split, device, options.seed, World(), None)
        with listening() as stop:
            fit(training, lambda: None, tell, stop)
        return min(epoch.validation.loss for epoch in training.progress.history)

    best = tune(objective, base, options.trials, options.storage, options.study, options.reports, options.seed)
    print(f"best parameters: {json.dumps(best)}")
    if options.params_out:
        write_parameters(best, options.params_out)
        print(f"wrote {options.params_out}; train with --params {options.params_out}")


if __name__ == "__main__":
    sys.exit(main())
