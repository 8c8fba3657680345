"""The networks, and the checkpoint file that the trainer writes and the app reads.

    checkpoint = load_checkpoint(Path("mnist_model.pth"))
    network = checkpoint.build()
    logits = network(frames)             # [N, 28, 28] -> [N, 10 or 11]

Every network takes frames as they are, float32 in 0 (paper) to 1 (ink): standardisation is its first layer. It returns
one logit per digit and, with `background=True`, an eleventh for the background class, "not a digit".
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model_file import (
    FRAME_SIZE,
    N_DIGITS,
    NUMBER_READER,
    PREPROCESSING_VERSION,
    CheckpointError,
    ModelInfo,
    read_model_file,
    verify_calibration,
    verify_preprocessing,
)
from storage import write_atomically

FORMAT_VERSION = 1


class Standardize(nn.Module):
    """Frames `[N, 28, 28]` in 0..1 to zero mean and unit variance, `[N, 1, 28, 28]`."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Mean and standard deviation of the 60,000 MNIST training pictures.
        self.register_buffer("mean", torch.tensor(0.1307))
        self.register_buffer("std", torch.tensor(0.3081))

    def forward(self, frames: Tensor) -> Tensor:
        return ((frames - self.mean) / self.std).unsqueeze(1)


def n_outputs(background: bool) -> int:
    """Number of logits: one per digit, and one for the background class if there is one."""
    return N_DIGITS + int(background)


class DigitCNN(nn.Module):
    """Five convolutions with batch normalisation, three with pooling; 290,795 parameters at the default width.

    Pooling comes before normalisation and ReLU, which then cost a quarter.
    """

    def __init__(self, width: int = 32, background: bool = True, dropout: float = 0.2) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Standardize(),
            *_conv(1, width, kernel=5, pool=2),  # [N, w, 14, 14]
            *_conv(width, 2 * width),
            *_conv(2 * width, 2 * width, pool=2),  # [N, 2w, 7, 7]
            *_conv(2 * width, 4 * width),
            *_conv(4 * width, 4 * width, pool=2),  # [N, 4w, 3, 3]
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Dropout(dropout), nn.Linear(4 * width * 3 * 3, n_outputs(background))
        )

    def forward(self, frames: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(frames))
        return logits


def _conv(inputs: int, outputs: int, kernel: int = 3, pool: int | tuple[int, int] | None = None) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return [convolution, *([nn.MaxPool2d(pool)] if pool else []), nn.BatchNorm2d(outputs), nn.ReLU()]


def _perceptron(*hidden: int, dropout: float = 0.0) -> Callable[..., nn.Module]:
    """A builder of fully connected networks 784 -> hidden -> outputs."""

    def build(background: bool = True) -> nn.Module:
        layers: list[nn.Module] = [Standardize(), nn.Flatten()]
        sizes = [FRAME_SIZE * FRAME_SIZE, *hidden]
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout)]
        return nn.Sequential(*layers, nn.Linear(sizes[-1], n_outputs(background)))

    return build


class NumberCNN(nn.Module):
    """Reads a line of digits without segmentation, with CTC (Graves et al. 2006, doi:10.1145/1143844.1143891).

    Strips `[N, 32, W]` to logits `[N, W // 2, 11]` of the digits and the blank: one step every two columns, so that two
    narrow 1s have a blank between them. 441,275 parameters at the default width.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_conv(1, width, pool=(2, 2)),  # [N, w, 16, W/2]
            *_conv(width, 2 * width),
            *_conv(2 * width, 2 * width, pool=(2, 1)),  # [N, 2w, 8, W/2]
            *_conv(2 * width, 4 * width),
            ResidualConv2d(4 * width),
            *_conv(4 * width, 4 * width, pool=(2, 1)),  # [N, 4w, 4, W/2]
            ResidualConv2d(4 * width),
            nn.Conv2d(4 * width, 8 * width, (4, 3), padding=(0, 1), bias=False),
            nn.BatchNorm2d(8 * width),
            nn.ReLU(),  # [N, 8w, 1, W/2]
            nn.Flatten(1, 2),
        )
        self.context = nn.Sequential(*[ResidualConv1d(8 * width, dilation) for dilation in (1, 2, 4, 1)])
        self.classifier = nn.Conv1d(8 * width, N_DIGITS + 1, 1)

    def forward(self, strips: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.context(self.features(strips.unsqueeze(1))))
        return logits.transpose(1, 2)


class ResidualConv2d(nn.Module):
    """A convolution, added to its input; an untrained one changes nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        nn.init.zeros_(self.norm.weight)

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(features + self.norm(self.convolution(features)))


class ResidualConv1d(nn.Module):
    """A convolution along the line, added to its input."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(features + self.norm(self.convolution(features)))


# The registry: add a network here to train it by name and serve it from its checkpoint.
ARCHITECTURES: Mapping[str, Callable[..., nn.Module]] = {
    "cnn": DigitCNN,
    "mlp": _perceptron(128, 64, dropout=0.2),
    "dense": _perceptron(128),
    "linear": _perceptron(),
}

# The networks of checkpoint files.
_NETWORKS = {**ARCHITECTURES, NUMBER_READER: NumberCNN}


def digit_score(logits: Tensor) -> Tensor:
    """How much each input looks like a digit: `[N]` from logits `[N, 10 or 11]`.

    With a background class, the log-odds of "digit" against "not a digit"; without one, the negative free energy
    (Liu et al. 2020, arXiv:2010.03759).
    """
    energy = torch.logsumexp(logits[:, :N_DIGITS], dim=1)
    return energy - logits[:, N_DIGITS] if logits.shape[1] > N_DIGITS else energy


def digit_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """Calibrated probabilities `[N, 10]` of the digits, given that the input is one."""
    return torch.softmax(logits[:, :N_DIGITS] / temperature, dim=1)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A trained network with its calibration and its origin."""

    architecture: str
    arguments: dict[str, int | float | bool]
    state_dict: dict[str, Tensor]
    temperature: float = 1.0  # see ModelInfo
    rejection_threshold: float = 0.0
    preprocessing: int = PREPROCESSING_VERSION
    metrics: dict[str, float] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)
    seed: int = 0
    torch_version: str = str(torch.__version__)  # str: weights_only does not load torch's own class
    commit: str = "unknown"

    @property
    def digest(self) -> str:
        """SHA-256, as hex digits, of everything that determines a prediction: tensors, arguments, calibration."""
        decisive = (self.architecture, self.arguments, self.temperature, self.rejection_threshold, self.preprocessing)
        sha = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode())
        for name, tensor in sorted(self.state_dict.items()):
            sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            sha.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return sha.hexdigest()

    @property
    def id(self) -> str:
        """The model's short name, on the page and in every API response."""
        return self.digest[:12]

    @property
    def n_parameters(self) -> int:
        """Number of parameters, without buffers."""
        return sum(parameter.numel() for parameter in self.build().parameters())

    @property
    def info(self) -> ModelInfo:
        """What the app needs besides the network."""
        return ModelInfo(
            id=self.id,
            architecture=self.architecture,
            parameters=self.n_parameters,
            preprocessing=self.preprocessing,
            temperature=self.temperature,
            rejection_threshold=self.rejection_threshold,
            data=tuple(self.data),
            metrics=dict(self.metrics),
        )

    def build(self) -> nn.Module:
        """The network with its weights, ready to predict."""
        network = _NETWORKS[self.architecture](**self.arguments)
        network.load_state_dict(self.state_dict)
        return network.eval()


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write `checkpoint` atomically.

    Raises `OSError`, or `CheckpointError` if `load_checkpoint` would reject it, and then keeps the old file.
    """
    write_atomically(path, dump_checkpoint(checkpoint, path))


def dump_checkpoint(checkpoint: Checkpoint, path: Path) -> bytes:
    """The content of the checkpoint file `path`. Raises `CheckpointError` if `load_checkpoint` would reject it."""
    values = {item.name: getattr(checkpoint, item.name) for item in fields(checkpoint)}
    buffer = io.BytesIO()
    torch.save({"format": FORMAT_VERSION, "digest": checkpoint.digest, **values}, buffer)
    parse_checkpoint(buffer.getvalue(), path)
    return buffer.getvalue()


def load_checkpoint(path: Path) -> Checkpoint:
    """Read and verify a checkpoint. Raises `CheckpointError`."""
    return parse_checkpoint(read_model_file(path), path)


def parse_checkpoint(data: bytes, path: Path) -> Checkpoint:
    """Verify the content of a checkpoint file; errors name `path`. Raises `CheckpointError`."""
    content = _unpickle(data, path)
    expected = {item.name for item in fields(Checkpoint)} | {"format", "digest"}
    if not isinstance(content, dict) or set(content) != expected:
        raise CheckpointError(f"{path} is not a checkpoint of this project")
    if content.pop("format") != FORMAT_VERSION:
        raise CheckpointError(f"{path} has another format version than {FORMAT_VERSION}, which this program reads")
    digest = content.pop("digest")
    if not _has_right_types(content):
        raise CheckpointError(f"{path} is damaged: a value in it has the wrong type")
    checkpoint = Checkpoint(**content)
    try:
        found = checkpoint.digest
    except (TypeError, RuntimeError) as error:  # sparse tensors, for example, have no plain bytes
        raise CheckpointError(f"{path} is damaged: its weights are not plain numbers") from error
    if found != digest:
        raise CheckpointError(f"{path} is damaged: its content does not match its digest")
    _verify(checkpoint, path)
    return checkpoint


def _unpickle(data: bytes, path: Path) -> Any:
    try:
        # torch.load does not verify the zip checksums, which also cover values without influence on the digest.
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(damaged)
        return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except Exception as error:  # damaged pickles and zip files raise any exception
        raise CheckpointError(f"{path} is damaged, or not a PyTorch file") from error


def _has_right_types(content: Mapping[str, Any]) -> bool:
    def holds(name: str, kind: type | tuple[type, ...], items: type | tuple[type, ...] = object) -> bool:
        value = content[name]
        values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return isinstance(value, kind) and all(isinstance(item, items) for item in values)

    numbers = (int, float)
    return (
        all(holds(name, str) for name in ("architecture", "torch_version", "commit"))
        and all(holds(name, numbers) for name in ("temperature", "rejection_threshold", "preprocessing", "seed"))
        and all(holds(name, dict, numbers) for name in ("arguments", "metrics"))
        and holds("state_dict", dict, Tensor)
        and holds("data", list, str)
    )


def _verify(checkpoint: Checkpoint, path: Path) -> None:
    verify_preprocessing(checkpoint.preprocessing, path)
    if checkpoint.architecture not in _NETWORKS:
        raise CheckpointError(f"{path} holds a network {checkpoint.architecture!r}, which this program does not know")
    if not all(torch.isfinite(tensor).all() for tensor in checkpoint.state_dict.values()):
        raise CheckpointError(f"{path} is damaged: a weight is not a finite number")
    verify_calibration(checkpoint.temperature, checkpoint.rejection_threshold, path)
    try:
        checkpoint.build()
    except Exception as error:  # architectures raise any exception for invalid arguments
        raise CheckpointError(f"{path} is damaged: its weights do not fit its architecture") from error
