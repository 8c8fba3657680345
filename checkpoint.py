"""The checkpoint file that the trainer writes and the app reads.

checkpoint = load_checkpoint(Path("mnist_model.pth"))
network = checkpoint.build()
logits = network(frames)             # [N, 28, 28] -> [N, 10 or 11]
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model import NETWORKS
from model_file import (
    PREPROCESSING_VERSION,
    CheckpointError,
    ModelInfo,
    read_model_file,
    verify_calibration,
    verify_preprocessing,
)
from storage import write_atomically

FORMAT_VERSION = 1


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
        network = NETWORKS[self.architecture](**self.arguments)
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
    if checkpoint.architecture not in NETWORKS:
        raise CheckpointError(f"{path} holds a network {checkpoint.architecture!r}, which this program does not know")
    if not all(torch.isfinite(tensor).all() for tensor in checkpoint.state_dict.values()):
        raise CheckpointError(f"{path} is damaged: a weight is not a finite number")
    verify_calibration(checkpoint.temperature, checkpoint.rejection_threshold, path)
    try:
        checkpoint.build()
    except Exception as error:  # architectures raise any exception for invalid arguments
        raise CheckpointError(f"{path} is damaged: its weights do not fit its architecture") from error
