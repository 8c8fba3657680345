"""Hyperparameter search with Optuna; several machines can share one study through its database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from storage import write_atomically
from training.loop import DivergedError, Epoch
from training.recipes import Recipe, UsageError, override

# Trains a network by a recipe, reports each epoch, and returns the lowest validation loss.
Objective = Callable[[Recipe, Callable[[Epoch], None]], float]


def tune(
    objective: Objective, base: Recipe, n_trials: int, storage: str | None, name: str, reports: Path, seed: int
) -> dict[str, Any]:
    """The best parameters of the study after `n_trials` more trials. Raises `UsageError` without Optuna."""
    optuna = _import_optuna()
    if storage is None:
        reports.mkdir(parents=True, exist_ok=True)
        storage = f"sqlite:///{(reports / 'tuning.db').resolve()}"
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
    )

    def run_trial(trial: Any) -> float:
        def report(epoch: Epoch) -> None:
            trial.report(epoch.validation.loss, epoch.number)
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            return objective(override(base, suggest_parameters(trial)), report)
        except DivergedError as error:
            raise optuna.TrialPruned from error

    study.optimize(run_trial, n_trials=n_trials)
    if not study.get_trials(states=(optuna.trial.TrialState.COMPLETE,)):
        raise DivergedError("no trial was completed")
    return dict(study.best_params)


def suggest_parameters(trial: Any) -> dict[str, Any]:
    """The parameters of a trial: those that matter most for any network."""
    return {
        "lr": trial.suggest_float("lr", 5e-4, 2e-2, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-3, 0.2, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [64, 128, 256, 512]),
        "ema_decay": trial.suggest_categorical("ema_decay", [0.98, 0.99, 0.995, 0.999, 0.9995]),
        "max_gradient_norm": trial.suggest_float("max_gradient_norm", 0.5, 10.0, log=True),
    }


def write_parameters(parameters: dict[str, Any], path: Path) -> None:
    """Write a file for `--params`. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(parameters, indent=2) + "\n").encode())


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise UsageError("Tuning needs the package optuna: pip install optuna.") from error
    return optuna
