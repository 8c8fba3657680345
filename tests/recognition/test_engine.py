"""The engine and the scores in NumPy agree with the network and the scores in PyTorch."""

import numpy as np
import pytest
import torch

import model
from model import Checkpoint, DigitCNN
from recognition.engine import TorchEngine, digit_probabilities, digit_scores


def test_engine_gives_the_logits_of_the_network() -> None:
    torch.manual_seed(0)
    checkpoint = Checkpoint(architecture="cnn", arguments={}, state_dict=DigitCNN().state_dict())
    frames = np.random.default_rng(0).random((3, 28, 28), np.float32)
    logits = TorchEngine(checkpoint).logits(frames)
    assert (logits.shape, logits.dtype) == ((3, 11), np.float32)
    with torch.inference_mode():
        np.testing.assert_allclose(logits, checkpoint.build()(torch.from_numpy(frames)).numpy(), atol=1e-4)


@pytest.mark.parametrize("outputs", [10, 11])
@pytest.mark.parametrize("scale", [1, 500])
def test_scores_equal_those_of_the_trainer(outputs: int, scale: int) -> None:
    logits = scale * np.random.default_rng(0).standard_normal((5, outputs)).astype(np.float32)
    tensor = torch.from_numpy(logits)
    np.testing.assert_allclose(digit_scores(logits), model.digit_score(tensor).numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        digit_probabilities(logits, 1.3), model.digit_probabilities(tensor, 1.3).numpy(), atol=1e-6
    )
