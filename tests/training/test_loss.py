"""The training loss."""

import math

import pytest
import torch

from training.loss import training_loss
from training.recipes import Recipe

LOGITS = torch.log(torch.tensor([[0.7, 0.3], [0.4, 0.6]]))
LABELS = torch.tensor([0, 1])


def test_loss_is_cross_entropy() -> None:
    loss = training_loss(LOGITS, LABELS, None, Recipe(label_smoothing=0))
    assert float(loss) == pytest.approx(-(math.log(0.7) + math.log(0.6)) / 2)


def test_label_smoothing_raises_the_loss_of_confident_predictions() -> None:
    losses = [training_loss(10 * LOGITS, LABELS, None, Recipe(label_smoothing=s)) for s in (0, 0.1)]
    assert losses[0] < losses[1]


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_teachers_have_their_weight_in_the_loss(weight: float) -> None:
    recipe = Recipe(label_smoothing=0, distill_weight=weight)
    loss = training_loss(LOGITS, LABELS, torch.softmax(LOGITS, 1), recipe)
    hard = training_loss(LOGITS, LABELS, None, recipe)
    entropy = -(torch.softmax(LOGITS, 1) * LOGITS).sum(1).mean()
    assert float(loss) == pytest.approx(float((1 - weight) * hard + weight * entropy))
