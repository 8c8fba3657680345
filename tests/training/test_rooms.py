"""Splits, batches, schedules, recipes, random state and figures, each by itself."""

import random

import numpy as np
import pytest
import torch

from testing.tiny_mnist import make_digits
from training.augment import NO_DISTORTIONS
from training.batches import Batches
from training.data import DataError, Digits, split_digits, stratified_split
from training.distributed import World
from training.metrics import expected_calibration_error, fit_temperature, rejection_threshold, score
from training.recipes import RECIPES, ChoiceError, Recipe, build_network, change, without
from training.schedules import Schedule, cosine
from training.state import random_state, restore_random_state


@pytest.fixture(scope="module")
def digits() -> Digits:
    frames, labels = make_digits(100, seed=0)
    return Digits(torch.from_numpy(frames), torch.from_numpy(labels).long())


# ---- splits ----


def test_validation_has_every_digit_in_its_share() -> None:
    labels = torch.arange(1000) % 10
    training, validation = stratified_split(labels, 100)
    assert labels[validation].bincount().tolist() == [10] * 10
    assert sorted([*training.tolist(), *validation.tolist()]) == list(range(1000))


def test_split_is_always_the_same(digits: Digits) -> None:
    assert torch.equal(split_digits(digits)[1].frames, split_digits(digits)[1].frames)


@pytest.mark.parametrize("count", [2, 3, 15])
def test_few_digits_are_split_all_the_same(count: int, digits: Digits) -> None:
    training, validation = split_digits(digits.select(torch.arange(count)))
    assert len(validation) >= 1
    assert len(training) + len(validation) == count


def test_one_digit_cannot_be_split(digits: Digits) -> None:
    with pytest.raises(DataError, match="too few"):
        split_digits(digits.select(torch.arange(1)))


# ---- batches ----


def plain(batch_size: int, nondigit_share: float = 0.0) -> Recipe:
    return Recipe(batch_size=batch_size, nondigit_share=nondigit_share, distortions=NO_DISTORTIONS, epochs=1)


def test_an_epoch_shows_each_digit_at_most_once_in_an_order_of_its_own(digits: Digits) -> None:
    numbered = Digits(digits.frames, torch.arange(100))  # labels that tell the digits apart
    batches = Batches(numbered, plain(32), seed=0)
    first, second = ([int(i) for _, labels in batches.epoch(n) for i in labels] for n in (1, 2))
    assert len(first) == len(set(first)) == 96
    assert first != second
    assert first == [int(i) for _, labels in batches.epoch(1) for i in labels]


def test_an_epoch_goes_on_where_it_was_left(digits: Digits) -> None:
    batches = Batches(Digits(digits.frames, torch.arange(100)), plain(32), seed=0)
    whole = [labels.tolist() for _, labels in batches.epoch(3)]
    assert [labels.tolist() for _, labels in batches.epoch(3, start=1)] == whole[1:]


def test_processes_share_an_epoch_between_them(digits: Digits) -> None:
    numbered = Digits(digits.frames, torch.arange(100))
    shards = []
    for rank in range(2):
        batches = Batches(numbered, plain(32), seed=0, world=World(rank, 2))
        shards.append({int(i) for _, labels in batches.epoch(1) for i in labels})
        assert (len(batches), batches.n_digits, batches.n_samples) == (3, 16, 96)
    assert not shards[0] & shards[1]


def test_non_digits_make_up_their_share_of_a_batch(digits: Digits) -> None:
    batches = Batches(digits, plain(40, nondigit_share=0.25), seed=0)
    frames, labels = next(iter(batches.epoch(1)))
    assert int((labels == 10).sum()) == 10
    assert frames.shape == (40, 28, 28)
    assert float(frames.min()) >= 0
    assert float(frames.max()) <= 1


def test_fewer_digits_than_a_batch_are_one_batch(digits: Digits) -> None:
    batches = Batches(digits.select(torch.arange(10)), plain(256, nondigit_share=0.2), seed=0)
    assert [len(labels) for _, labels in batches.epoch(1)] == [12]


# ---- schedules ----


def rates(recipe: Recipe, n_steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=recipe.lr)
    schedule = Schedule(optimizer, recipe, n_steps)
    seen = []
    for _ in range(n_steps):
        seen.append(schedule.lr)
        optimizer.step()
        schedule.step()
    return seen


@pytest.mark.parametrize("name", ["one-cycle", "cosine"])
def test_rate_rises_to_its_highest_and_falls_to_almost_nothing(name: str) -> None:
    seen = rates(Recipe(schedule=name, lr=0.1), 200)
    peak = seen.index(max(seen))
    assert max(seen) == pytest.approx(0.1, rel=0.01)
    assert 5 <= peak <= 40
    assert seen[:peak] == sorted(seen[:peak])
    assert seen[peak:] == sorted(seen[peak:], reverse=True)
    assert seen[-1] < 0.0001


def test_cosine_of_one_step_is_no_division_by_zero() -> None:
    assert 0 < cosine(0, 1) <= 1


def test_plateau_lowers_the_rate_when_nothing_gets_better() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = Schedule(optimizer, Recipe(schedule="plateau", lr=0.1), 100)
    for loss in (1.0, 0.9, 0.9, 0.9, 0.9):
        schedule.step()
        schedule.end_epoch(loss)
    assert schedule.lr == pytest.approx(0.03)


# ---- recipes ----


def test_another_network_drops_the_arguments_of_the_first() -> None:
    assert dict(change(RECIPES["fast"], {"architecture": "dense"}).arguments) == {}
    assert dict(change(RECIPES["fast"], {"epochs": 9}).arguments) == {"width": 16}


def test_arguments_that_a_network_does_not_take_are_said() -> None:
    with pytest.raises(ChoiceError, match="dense cannot be made with"):
        build_network(change(Recipe(), {"architecture": "dense", "arguments": {"width": 3}}))


def test_distortions_are_switched_off_by_name() -> None:
    recipe = without(Recipe(), ["blur", "noise"])
    assert not recipe.distortions.blur
    assert not recipe.distortions.noise
    assert recipe.distortions.affine
    with pytest.raises(ChoiceError, match="elastic"):
        without(recipe, ["rain"])


# ---- state ----


def test_random_state_comes_back() -> None:
    torch.rand(3), np.random.rand(3), random.random()
    state = random_state()
    first = torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random(), random.gauss(0, 1)
    restore_random_state(state)
    assert (torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random(), random.gauss(0, 1)) == first


# ---- figures ----


def test_score_counts_errors_and_loss() -> None:
    logits = torch.log(torch.tensor([[0.7, 0.3] + [1e-9] * 8, [0.6, 0.4] + [1e-9] * 8]))
    figures = score(logits, torch.tensor([0, 1]))
    assert (figures.accuracy, figures.errors) == (0.5, 1)
    assert figures.loss == pytest.approx(-(np.log(0.7) + np.log(0.4)) / 2, abs=1e-5)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    confidence = torch.tensor([0.99] * 50 + [0.55] * 50)
    right = torch.tensor([True] * 50 + [True] * 20 + [False] * 30)
    assert expected_calibration_error(confidence, right) == pytest.approx(0.5 * 0.01 + 0.5 * 0.15, abs=1e-6)


def test_temperature_undoes_overconfidence() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4000, 10, generator=generator) * 2
    labels = torch.multinomial(torch.softmax(logits, 1), 1, generator=generator)[:, 0]
    assert fit_temperature(logits * 3, labels) == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("certainty", [0.1, 1, 5, 30])
def test_temperature_of_digits_that_are_all_read_rightly_is_above_nought(certainty: float) -> None:
    assert 0.05 <= fit_temperature(torch.eye(10) * certainty, torch.arange(10)) <= 1


def test_threshold_refuses_one_digit_in_a_hundred() -> None:
    logits = torch.zeros(1000, 11)
    logits[:, 3] = torch.linspace(0, 10, 1000)
    threshold = rejection_threshold(logits)
    refused = (torch.logsumexp(logits[:, :10], 1) - logits[:, 10]) < threshold
    assert int(refused.sum()) == 10


def test_calibrated_loss_does_not_mind_flatter_logits() -> None:
    torch.manual_seed(0)
    labels = torch.arange(200) % 10
    logits = torch.randn(200, 10) + 2 * torch.nn.functional.one_hot(labels, 10)
    losses = [score(z, labels, fit_temperature(z, labels)).loss for z in (logits, 0.3 * logits)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_temperature_of_faultless_logits_is_bounded() -> None:
    labels = torch.arange(20) % 10
    assert fit_temperature(20.0 * torch.nn.functional.one_hot(labels, 10), labels) >= 0.05
