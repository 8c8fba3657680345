"""Ensembles: training several networks with one command, averaging their predictions, and distillation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from checkpoint import Checkpoint
from config import Limits
from model import n_outputs
from recognition import Prediction, Recognizer
from recognition.frame import Frame
from recognition.stroke_reader import StrokeReader
from recognition.torch_engine import TorchEngine
from training.recipes import UsageError
from training.training_state import state_path


@dataclass(frozen=True, slots=True)
class Member:
    """One of the networks that a command trains; usually there is only one."""

    seed: int
    output: Path
    suffix: str  # of its files: "" for the only network, else "-0", "-1" and so on

    @property
    def state(self) -> Path:
        """The file of its training state."""
        return state_path(self.output)

    @property
    def previous(self) -> Path:
        """Where the checkpoint goes that the training replaces."""
        return self.output.with_suffix(f".previous{self.output.suffix}")

    @property
    def rejected(self) -> Member:
        """The same with names of its own for all files, so that none of the better network's is replaced."""
        output = self.output.with_suffix(f".rejected{self.output.suffix}")
        return replace(self, output=output, suffix=f"{self.suffix}-rejected")

    def folder(self, base: Path) -> Path:
        """The folder of its reports: `base`, or a sub-folder of it if there are several members."""
        return base / f"member{self.suffix}" if self.suffix else base

    @property
    def is_finished(self) -> bool:
        """Whether its checkpoint exists and no interrupted training does."""
        return self.output.exists() and not self.state.exists()


def list_members(output: Path, count: int, seed: int) -> list[Member]:
    """`count` members with seeds from `seed` on, written to `NAME.pth`, or to `NAME-0.pth` and so on."""
    if count == 1:
        return [Member(seed, output, "")]
    return [Member(seed + index, output.with_stem(f"{output.stem}-{index}"), f"-{index}") for index in range(count)]


class Ensemble(Recognizer):
    """A recognizer that averages the probabilities, digit scores and rejection thresholds of several networks."""

    def __init__(
        self,
        checkpoints: Sequence[Checkpoint],
        limits: Limits | None = None,
        stroke_reader: StrokeReader | None = None,
    ) -> None:
        super().__init__(TorchEngine(checkpoints[0]), limits, stroke_reader=stroke_reader)
        self._members = [Recognizer(TorchEngine(checkpoint), limits) for checkpoint in checkpoints]
        self._threshold = fmean(checkpoint.rejection_threshold for checkpoint in checkpoints)

    def predict_frames(self, frames: Sequence[Frame]) -> list[Prediction]:
        """Predictions for frames `[28, 28]`, without preprocessing."""
        each = [member.predict_frames(frames) for member in self._members]
        return [self._average(predictions) for predictions in zip(*each, strict=True)]

    def _average(self, predictions: Sequence[Prediction]) -> Prediction:
        probabilities = np.mean([prediction.probabilities for prediction in predictions], axis=0)
        score = fmean(prediction.digit_score for prediction in predictions)
        return Prediction(tuple(probabilities.tolist()), score, score >= self._threshold, predictions[0].frame)


class Teachers:
    """Networks to distill: a student learns their mean predictions (Hinton et al. 2015, arXiv:1503.02531).

    They predict the same augmented batch as the student (Beyer et al. 2021, arXiv:2106.05237).
    """

    def __init__(self, checkpoints: Sequence[Checkpoint], device: torch.device, *, background: bool) -> None:
        """Raises `UsageError` unless all have the student's classes: ten, or eleven with a `background` class."""
        self.ids = [checkpoint.id for checkpoint in checkpoints]
        self._networks = [
            checkpoint.build().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            for checkpoint in checkpoints
        ]
        frames = torch.zeros(1, 28, 28, device=device)
        for name, network in zip(self.ids, self._networks, strict=True):
            with torch.inference_mode():
                n_classes = network(frames).shape[1]
            if n_classes != n_outputs(background):
                raise UsageError(f"Teacher {name} has {n_classes} classes, and this recipe {n_outputs(background)}.")

    @torch.no_grad()
    def __call__(self, frames: Tensor) -> Tensor:
        """Mean probabilities `[B, C]` of frames `[B, 28, 28]`."""
        return torch.stack([torch.softmax(network(frames).float(), dim=1) for network in self._networks]).mean(0)
