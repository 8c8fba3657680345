"""ONNX files of this project: their metadata, and a digest that covers every byte. Does not need the package onnx.

An ONNX file is a protobuf message (onnx.proto3 in github.com/onnx/onnx), whose fields may come in any order. The digest
is its last field, a metadata entry, so that it can cover all bytes before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Json

from model_file import CheckpointError, ModelInfo, verify_calibration, verify_preprocessing

# Numbers of fields: of ModelProto, StringStringEntryProto, GraphProto and TensorProto, and of the type float32.
_GRAPH, _METADATA = 7, 14
_KEY, _VALUE = 1, 2
_INITIALIZER = 5
_DATA_TYPE, _RAW_DATA, _FLOAT = 2, 9, 1
# The metadata entry "sha256" without its value, 64 hex digits.
_DIGEST_ENTRY = b"\x72\x4a\x0a\x06sha256\x12\x40"


class OnnxMetadata(BaseModel):
    """The metadata entries of an ONNX file. All are strings; lists and dictionaries are JSON."""

    id: str
    architecture: str
    parameters: int
    preprocessing: int
    temperature: float
    rejection_threshold: float
    data: Json[tuple[str, ...]]
    metrics: Json[dict[str, float]]
    labels: Json[tuple[str, ...]]  # what each logit stands for
    checkpoint_sha256: str  # of the checkpoint file that was exported


def seal(onnx: bytes) -> bytes:
    """`onnx` with its SHA-256 as the last metadata entry."""
    return onnx + _DIGEST_ENTRY + sha256(onnx).hexdigest().encode()


def parse_onnx(content: bytes, path: Path, checkpoint: bytes | None = None) -> ModelInfo:
    """Verify the content of an ONNX file, and that it was exported from the checkpoint file with this content.

    Errors name `path`. Raises `CheckpointError`.
    """
    end = len(content) - len(_DIGEST_ENTRY) - 64
    if end < 0 or not content.startswith(_DIGEST_ENTRY, end):
        raise CheckpointError(f"{path} is damaged, or not an ONNX file of this project")
    if content != seal(content[:end]):
        raise CheckpointError(f"{path} is damaged: its content does not match its digest")
    try:
        metadata = _read_metadata(content)
        is_finite = all(np.isfinite(weights).all() for weights in _float_weights(content))
    except (ValueError, LookupError, StopIteration) as error:
        raise CheckpointError(f"{path} is not a model of this project") from error
    verify_preprocessing(metadata.preprocessing, path)
    if not is_finite:
        raise CheckpointError(f"{path} is damaged: a weight is not a finite number")
    verify_calibration(metadata.temperature, metadata.rejection_threshold, path)
    if checkpoint is not None and sha256(checkpoint).hexdigest() != metadata.checkpoint_sha256:
        raise CheckpointError(f"{path} was not exported from the checkpoint beside it")
    return ModelInfo(**metadata.model_dump(exclude={"labels", "checkpoint_sha256"}))


def _read_metadata(content: bytes) -> OnnxMetadata:
    entries = [dict(_fields(value)) for number, value in _fields(content) if number == _METADATA]
    return OnnxMetadata.model_validate({entry[_KEY].decode(): entry[_VALUE].decode() for entry in entries})


def _float_weights(content: bytes) -> Iterator[NDArray[np.float32]]:
    graph = next(value for number, value in _fields(content) if number == _GRAPH)
    tensors = [dict(_fields(value)) for number, value in _fields(graph) if number == _INITIALIZER]
    return (np.frombuffer(tensor[_RAW_DATA], "<f4") for tensor in tensors if tensor[_DATA_TYPE] == _FLOAT)


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a protobuf message: an integer, or bytes. Raises `ValueError`."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        value, position = _varint(message, position)
        if tag & 7 == 0:
            yield tag >> 3, value
        elif tag & 7 == 2:
            yield tag >> 3, message[position : position + value]
            position += value
        else:
            raise ValueError("fields of fixed size do not occur in these messages")


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """The integer at `position`, seven bits in each byte, and the position after it."""
    value = shift = 0
    while message[position] & 0x80:
        value |= (message[position] & 0x7F) << shift
        position, shift = position + 1, shift + 7
    return value | message[position] << shift, position + 1
