"""Inference: NumPy frames in, NumPy logits out, by ONNX Runtime or PyTorch.

    engine = start_engine(read_model(Path("mnist_model.pth")))
    logits = engine.logits(frames)                                  # [N, 28, 28] -> [N, 10 or 11]

A server verifies the file once, and starts an engine in each of its forked workers: neither library survives a fork
once it has run.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from config import EngineName, Settings
from model_file import N_DIGITS, CheckpointError, ModelInfo, Purpose, read_model_file, verify_purpose
from recognition.onnx_file import parse_onnx


class Engine(Protocol):
    """A network that is ready to run. Thread-safe."""

    @property
    def name(self) -> Literal["onnx", "torch"]:
        """What runs it."""

    @property
    def info(self) -> ModelInfo:
        """Its metadata."""

    def logits(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits `[N, 10 or 11]` of frames `[N, 28, 28]`.

        Number readers: `[N, W // 2, 11]` of strips `[N, 32, W]`; stroke readers: `[N, ceil(T / 4), 12]` of trajectories
        `[N, 5, T]`.
        """


@dataclass(frozen=True, slots=True)
class VerifiedModel:
    """A model file that was read and verified, and the engine that runs it."""

    engine: EngineName
    path: Path
    content: bytes
    info: ModelInfo


class Models(NamedTuple):
    """Without `numbers`, only single digits are read; without `strokes`, drawings are read as pictures."""

    digits: VerifiedModel
    numbers: VerifiedModel | None = None
    strokes: VerifiedModel | None = None


def read_models(settings: Settings, *, with_numbers: bool | None = None) -> Models:
    """Read and verify the models that the settings name. Raises `CheckpointError`.

    By default, the number model is read if its file exists; the stroke model always is then.
    """
    digits = read_model(settings.model_path, settings.engine)
    numbers = None
    if with_numbers or (with_numbers is None and _exists(settings.number_model_path)):
        numbers = read_model(settings.number_model_path, settings.engine, Purpose.NUMBERS)
    return Models(digits, numbers, read_stroke_model(settings))


def read_stroke_model(settings: Settings) -> VerifiedModel | None:
    """Read and verify the model of pen strokes, if its file exists. Raises `CheckpointError`."""
    if not _exists(settings.stroke_model_path):
        return None
    return read_model(settings.stroke_model_path, settings.engine, Purpose.STROKES)


def _exists(checkpoint: Path) -> bool:
    return checkpoint.exists() or checkpoint.with_suffix(".onnx").exists()


def read_model(
    checkpoint: Path, choice: EngineName = EngineName.AUTO, purpose: Purpose = Purpose.DIGITS
) -> VerifiedModel:
    """Read and verify a checkpoint, or the ONNX file beside it. Raises `CheckpointError`.

    `auto` chooses ONNX Runtime where it is installed and the ONNX file exists, and PyTorch otherwise.
    """
    if choice == EngineName.AUTO:
        has_onnx = _is_installed("onnxruntime") and checkpoint.with_suffix(".onnx").exists()
        choice = EngineName.ONNX if has_onnx or not _is_installed("torch") else EngineName.TORCH
    model = _read_checkpoint(checkpoint) if choice == EngineName.TORCH else _read_onnx(checkpoint)
    verify_purpose(model.info, model.path, purpose)
    return model


def _read_onnx(checkpoint: Path) -> VerifiedModel:
    _require("onnxruntime", "ONNX Runtime", "requirements-serve.txt")
    path = checkpoint.with_suffix(".onnx")
    try:
        content = read_model_file(path)
        info = parse_onnx(content, path, read_model_file(checkpoint) if checkpoint.exists() else None)
        return VerifiedModel(EngineName.ONNX, path, content, info)
    except CheckpointError as error:
        raise CheckpointError(f"{error}; export it with: python train_model.py export {checkpoint}") from error


def _read_checkpoint(path: Path) -> VerifiedModel:
    _require("torch", "PyTorch", "requirements.txt")
    from recognition.torch_engine import parse_checkpoint

    try:
        content = read_model_file(path)
        return VerifiedModel(EngineName.TORCH, path, content, parse_checkpoint(content, path).info)
    except CheckpointError as error:
        raise CheckpointError(f"{error}; train a new one with: python train_model.py") from error


def _is_installed(package: str) -> bool:
    return find_spec(package) is not None


def _require(package: str, name: str, requirements: str) -> None:
    if not _is_installed(package):
        raise CheckpointError(f"{name} is not installed, get it with: pip install -r {requirements}")


def start_engine(model: VerifiedModel) -> Engine:
    """An engine in this process, which must not fork any more. Raises `CheckpointError`."""
    if model.engine == EngineName.ONNX:
        from recognition.onnx_engine import OnnxEngine

        return OnnxEngine(model)
    from recognition.torch_engine import TorchEngine, parse_checkpoint

    return TorchEngine(parse_checkpoint(model.content, model.path))


# NumPy versions of digit_score and digit_probabilities in model.py.


def digit_scores(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much each input looks like a digit: `[N]` from logits `[N, 10 or 11]`, higher = more."""
    energy = _logsumexp(logits[:, :N_DIGITS])
    return energy - logits[:, N_DIGITS] if logits.shape[1] > N_DIGITS else energy


def digit_probabilities(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Calibrated probability `[N, 10]` of each digit, given that the frame shows one."""
    digits = logits[:, :N_DIGITS] / np.float32(temperature)
    exponentials = np.exp(digits - digits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float32] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def log_odds(logits: NDArray[np.float32], temperature: float, digit: int) -> NDArray[np.float32]:
    """Calibrated log-odds `[N]`, in nats, of `digit` against the nine others, from logits `[N, 10 or 11]`."""
    digits = logits[:, :N_DIGITS] / np.float32(temperature)
    odds: NDArray[np.float32] = digits[:, digit] - _logsumexp(np.delete(digits, digit, axis=1))
    return odds


def _logsumexp(values: NDArray[np.float32]) -> NDArray[np.float32]:
    highest = values.max(axis=1, keepdims=True)
    sums: NDArray[np.float32] = np.log(np.exp(values - highest).sum(axis=1)) + highest[:, 0]
    return sums
