"""A training run as TensorBoard shows it."""

from __future__ import annotations

from pathlib import Path

from training.loop import Epoch
from training.recipes import ChoiceError


class Watch:
    """Writes each epoch's figures into a folder that TensorBoard reads."""

    def __init__(self, folder: Path) -> None:
        """Raises `ChoiceError` where TensorBoard is not installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ChoiceError("--tensorboard needs the package tensorboard: pip install tensorboard.") from error
        self._writer = SummaryWriter(str(folder))

    def show(self, epoch: Epoch) -> None:
        """Add one epoch."""
        figures = {
            "loss/training": epoch.loss,
            "loss/validation": epoch.validation.loss,
            "accuracy/training": epoch.accuracy,
            "accuracy/validation": epoch.validation.accuracy,
            "calibration error/validation": epoch.validation.ece,
            "learning rate": epoch.lr,
            "samples per second": epoch.samples_per_second,
        }
        for name, value in figures.items():
            self._writer.add_scalar(name, value, epoch.number)
        self._writer.flush()

    def close(self) -> None:
        """Nothing more comes."""
        self._writer.close()
