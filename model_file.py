"""What every model file says about its network, a PyTorch checkpoint or an ONNX file. Does not import torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

N_DIGITS = 10
FRAME_SIZE = 28
STRIP_HEIGHT = 32  # of the lines that the number reader reads
N_PATH_FEATURES = 5  # of each point of a trajectory
# The architectures of the networks that read lines of writing; every other one recognizes single digits.
NUMBER_READER, STROKE_READER = "number-cnn", "stroke-cnn"
# Incremented whenever recognition.frame, .strokes or .trajectory render an input differently: weights trained on inputs
# of one version are not served with those of another. Which candidates recognition.normalize finds does not count.
PREPROCESSING_VERSION = 2
# Far above any network here; prevents reading a wrong file (a video, a disk image) into memory.
MAX_MODEL_BYTES = 256 * 2**20


class CheckpointError(Exception):
    """The model file is missing, damaged or of another program; the message is one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """Metadata of a trained network."""

    id: str
    architecture: str
    parameters: int
    preprocessing: int
    temperature: float  # logits are divided by it before softmax (Guo et al. 2017, arXiv:1706.04599)
    rejection_threshold: float  # a digit score below it means "not a digit"
    data: tuple[str, ...]
    metrics: Mapping[str, float]


def example_shape(architecture: str) -> tuple[int, int, int]:
    """The shape of an input of a network: one frame, strip or trajectory."""
    of_readers = {NUMBER_READER: (1, STRIP_HEIGHT, 64), STROKE_READER: (1, N_PATH_FEATURES, 64)}
    return of_readers.get(architecture, (1, FRAME_SIZE, FRAME_SIZE))


def numbers_of_outputs(architecture: str) -> tuple[int, ...]:
    """How many logits a network may have: the digits, and for readers the blank and other ink."""
    of_readers = {NUMBER_READER: (N_DIGITS + 1,), STROKE_READER: (N_DIGITS + 2,)}
    return of_readers.get(architecture, (N_DIGITS, N_DIGITS + 1))


class Purpose(StrEnum):
    """What a network reads."""

    DIGITS = "single digits"
    NUMBERS = "numbers"
    STROKES = "pen strokes"


def purpose_of(architecture: str) -> Purpose:
    """What a network reads."""
    return {NUMBER_READER: Purpose.NUMBERS, STROKE_READER: Purpose.STROKES}.get(architecture, Purpose.DIGITS)


def verify_purpose(info: ModelInfo, path: Path, purpose: Purpose) -> None:
    """Raise `CheckpointError` unless the network reads what it is loaded for."""
    if (found := purpose_of(info.architecture)) != purpose:
        raise CheckpointError(f"{path} reads {found}, not {purpose}")


def read_model_file(path: Path) -> bytes:
    """The content of a model file, not verified. Raises `CheckpointError` if it cannot be read."""
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise CheckpointError(f"{path} is too large to be a model of this project")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no model file {path}") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error


def verify_preprocessing(version: int, path: Path) -> None:
    """Raise `CheckpointError` unless the network was trained on inputs as this program makes them."""
    if version != PREPROCESSING_VERSION:
        raise CheckpointError(
            f"{path} was trained on frames of version {version}, and this program makes version {PREPROCESSING_VERSION}"
        )


def verify_calibration(temperature: float, rejection_threshold: float, path: Path) -> None:
    """Raise `CheckpointError` unless the calibration consists of usable numbers."""
    if not (math.isfinite(rejection_threshold) and 0 < temperature < math.inf):
        raise CheckpointError(f"{path} is damaged: its temperature or rejection threshold is invalid")
