"""Learning rate schedules, and the moving average of the weights."""

import pytest
import torch
from torch import nn
from torch.optim import SGD

from training.optim import build_average, build_scheduler, cosine_with_warm_up
from training.recipes import Recipe


def learning_rates(recipe: Recipe, n_steps: int) -> list[float]:
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=recipe.lr)
    scheduler = build_scheduler(optimizer, recipe, n_steps)
    rates = []
    for _ in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("name", ["one-cycle", "cosine"])
def test_learning_rate_warms_up_and_anneals_to_almost_zero(name: str) -> None:
    rates = learning_rates(Recipe(schedule=name, lr=0.1), 200)
    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(0.1, rel=0.01)
    assert 5 <= peak <= 40
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < 0.0001


def test_schedule_of_a_single_step_is_valid() -> None:
    assert 0 < cosine_with_warm_up(0, 1) <= 1


def test_plateau_lowers_the_learning_rate_when_the_loss_stalls() -> None:
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = build_scheduler(optimizer, Recipe(schedule="plateau", lr=0.1), 100)
    for loss in (1.0, 0.9, 0.9, 0.9, 0.9):
        scheduler.step(loss)  # type: ignore[arg-type]
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.03)


def test_average_forgets_the_initial_weights_and_then_smooths() -> None:
    network = nn.BatchNorm1d(1)
    average = build_average(network, 0.9)
    values = []
    for weight in [1.0] * 20 + [2.0]:
        nn.init.constant_(network.weight, weight)
        nn.init.constant_(network.get_buffer("running_mean"), weight)
        average.update_parameters(network)
        values.append((average.module.get_parameter("weight").item(), average.module.get_buffer("running_mean").item()))
    assert values[19] == pytest.approx((1, 1), abs=0.01)
    assert values[20] == pytest.approx((1.1, 1.1), abs=0.32)
    assert values[20][0] == values[20][1] > 1.05  # weights and batch-norm statistics alike
