"""Ensembles: their members, their predictions, and their use as teachers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from checkpoint import Checkpoint
from model import ARCHITECTURES
from recognition import Recognizer
from recognition.torch_engine import TorchEngine
from testing.handwriting import DIGITS
from testing.tiny_mnist import make_digits
from training.ensemble import Ensemble, Teachers, list_members
from training.recipes import UsageError

CPU = torch.device("cpu")


def untrained(seed: int, background: bool = True, threshold: float = 0.0) -> Checkpoint:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        weights = ARCHITECTURES["linear"](background=background).state_dict()
    return Checkpoint(
        architecture="linear",
        arguments={"background": background},
        state_dict=weights,
        rejection_threshold=threshold,
    )


def test_members_have_their_own_seeds_and_files(tmp_path: Path) -> None:
    first, second = list_members(tmp_path / "m.pth", 2, seed=5)
    assert (first.seed, second.seed) == (5, 6)
    assert (first.output.name, second.output.name) == ("m-0.pth", "m-1.pth")
    assert second.state.name == "m-1.state.pth"
    assert second.folder(tmp_path) == tmp_path / "member-1"
    (single,) = list_members(tmp_path / "m.pth", 1, seed=5)
    assert (single.output, single.folder(tmp_path)) == (tmp_path / "m.pth", tmp_path)


def test_ensemble_averages_its_members() -> None:
    checkpoints = [untrained(0, threshold=-50.0), untrained(1, threshold=150.0)]
    frames = [make_digits(8, seed=1)[0][7].astype(np.float32) / 255]
    (together,) = Ensemble(checkpoints).predict_frames(frames)
    members = [Recognizer(TorchEngine(checkpoint)).predict_frames(frames)[0] for checkpoint in checkpoints]
    assert together.probabilities == pytest.approx(np.mean([member.probabilities for member in members], axis=0))
    assert together.digit_score == pytest.approx(np.mean([member.digit_score for member in members]))
    assert not together.is_digit  # its score is below the mean threshold
    assert Ensemble(checkpoints[:1]).predict_strokes(DIGITS[7]).is_digit


def test_teachers_predict_mean_probabilities() -> None:
    frames = torch.rand(3, 28, 28)
    checkpoints = [untrained(0), untrained(1)]
    targets = Teachers(checkpoints, CPU, background=True)(frames)
    each = [torch.softmax(checkpoint.build()(frames), dim=1) for checkpoint in checkpoints]
    assert torch.allclose(targets, torch.stack(each).mean(0))
    assert not targets.requires_grad


def test_teacher_with_other_classes_is_rejected() -> None:
    with pytest.raises(UsageError, match="has 10 classes, and this recipe 11"):
        Teachers([untrained(0), untrained(1, background=False)], CPU, background=True)
