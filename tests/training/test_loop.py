"""The training loop: best epoch, early stopping, divergence, interrupting and resuming."""

import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from training import loop
from training.augment import Distortions
from training.datasets import Digits, TrainingSet
from training.distributed import World
from training.loop import DivergedError, Epoch, Interrupted, Progress, fit, initialize
from training.loss import training_loss
from training.metrics import Metrics
from training.recipes import Recipe, override
from training.training_state import Stateful, load_training_state, save_training_state

# Four batches an epoch.
RECIPE = Recipe(architecture="linear", epochs=3, batch_size=32, nondigit_share=0.2, distortions=Distortions())
CPU = torch.device("cpu")


def train(
    digits: Digits,
    recipe: Recipe = RECIPE,
    state: Path | None = None,
    *,
    resume: bool = False,
    report: Callable[[Epoch], None] = lambda _: None,
) -> tuple[dict[str, Tensor], Progress]:
    """The averaged weights, and the progress of the training."""
    parts = initialize(recipe, TrainingSet(digits), 0, CPU, World())
    progress = Progress()
    network, average, optimizer, scheduler, _ = parts
    stateful: dict[str, Stateful] = {"network": network, "average": average, "optimizer": optimizer}
    stateful |= {"scheduler": scheduler, "progress": progress}
    run: dict[str, Any] = {"recipe": {"lr": recipe.lr}, "seed": 0}
    if resume and state:
        load_training_state(state, run, stateful, World())

    def save() -> None:
        if state:
            save_training_state(state, run, stateful, World())

    fit(*parts, digits, recipe, progress, save=save, report=report)
    return parts[1].module.state_dict(), progress


def before_batch(number: int, action: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Call `action` before the batch of that number, counted over all epochs."""
    original, count = loop.train_one_batch, iter(range(1, 1_000))

    def train_one_batch(*arguments: Any) -> Tensor:
        if next(count) == number:
            action()
        return original(*arguments)

    monkeypatch.setattr(loop, "train_one_batch", train_one_batch)


def test_loss_falls(digits: Digits) -> None:
    history = train(digits, override(RECIPE, {"epochs": 5}))[1].history
    assert [epoch.number for epoch in history] == [1, 2, 3, 4, 5]
    assert history[-1].loss < history[0].loss
    assert history[-1].validation.accuracy > 0.5


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "plateau"])
@pytest.mark.parametrize("batch", [1, 4, 6, 12])
def test_interrupted_training_resumes_to_bit_identical_weights(
    batch: int, schedule: str, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, state = override(RECIPE, {"schedule": schedule}), tmp_path / "state.pth"
    whole, _ = train(digits, recipe)
    with monkeypatch.context() as patch, suppress(Interrupted):  # a signal in the very last batch does not interrupt
        before_batch(batch, lambda: signal.raise_signal(signal.SIGTERM), patch)
        train(digits, recipe, state)
        assert batch == 12
    resumed, progress = train(digits, recipe, state, resume=True)
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    assert [epoch.number for epoch in progress.history] == [1, 2, 3]


def test_second_signal_is_not_caught(digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    before_batch(6, twice, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(digits)


def test_signal_handlers_are_restored(digits: Digits) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    train(digits)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_weights_of_the_best_epoch_are_kept_and_patience_stops_the_training(
    digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses, weights = iter([1.0, 0.5, 0.6, 0.7, 0.4]), []

    def validate(network: Any, *_: object) -> Metrics:
        weights.append({name: tensor.clone() for name, tensor in network.module.state_dict().items()})
        return Metrics(next(losses), 0.9, 1, 0.01)

    monkeypatch.setattr(loop, "validate", validate)
    _, progress = train(digits, override(RECIPE, {"epochs": 9, "patience": 2}))
    assert (len(progress.history), progress.best_epoch, progress.best_loss) == (4, 2, 0.5)
    assert progress.best_weights is not None
    assert all(torch.equal(progress.best_weights[name], weights[1][name]) for name in weights[1])


def test_divergence_names_its_step(digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    original, count = training_loss, iter(range(1, 1_000))
    monkeypatch.setattr(
        loop, "training_loss", lambda *arguments: original(*arguments) * (float("nan") if next(count) == 6 else 1)
    )
    with pytest.raises(DivergedError, match="not finite at step 6, in epoch 2"):
        train(digits)
