"""Export to ONNX, which the app runs without PyTorch. `recognition/onnx_file.py` has the other half."""

from __future__ import annotations

import io
import json
import warnings
from hashlib import sha256
from pathlib import Path

import onnx
import torch

from checkpoint import Checkpoint, dump_checkpoint, parse_checkpoint
from model_file import N_DIGITS, Purpose, example_shape, purpose_of, read_model_file
from recognition.onnx_file import parse_onnx, seal
from storage import replace_atomically, write_atomically


def save_model(checkpoint: Checkpoint, path: Path) -> None:
    """Write the checkpoint file `path`, and the ONNX file beside it.

    A crash at any moment leaves the old files, the new ones, or a checkpoint file alone. Raises `OSError`, or
    `CheckpointError` if the app would reject a file.
    """
    content, onnx_path = dump_checkpoint(checkpoint, path), path.with_suffix(".onnx")
    with replace_atomically(onnx_path) as onnx_file:
        onnx_file.write(to_onnx(checkpoint, content, onnx_path))
        onnx_file.flush()  # a full disk is noticed while the old files are still there
        with replace_atomically(path) as file:
            file.write(content)
            file.flush()
            onnx_path.unlink(missing_ok=True)


def export_onnx(path: Path) -> Path:
    """Write the ONNX file beside the checkpoint file `path`, and return its path.

    Raises `CheckpointError` or `OSError`.
    """
    content, onnx_path = read_model_file(path), path.with_suffix(".onnx")
    write_atomically(onnx_path, to_onnx(parse_checkpoint(content, path), content, onnx_path))
    return onnx_path


def to_onnx(checkpoint: Checkpoint, content: bytes, path: Path) -> bytes:
    """The ONNX file `path` of a checkpoint whose file has this content. Raises `CheckpointError`."""
    model = onnx.load_from_string(_export_network(checkpoint))
    info = checkpoint.info
    others = ["not a digit"] if purpose_of(info.architecture) == Purpose.DIGITS else ["blank", "other ink"]
    n_outputs = model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    metadata = {
        "id": info.id,
        "architecture": info.architecture,
        "parameters": str(info.parameters),
        "preprocessing": str(info.preprocessing),
        "temperature": str(info.temperature),
        "rejection_threshold": str(info.rejection_threshold),
        "data": json.dumps(info.data),
        "metrics": json.dumps(info.metrics),
        "labels": json.dumps([*map(str, range(N_DIGITS)), *others][:n_outputs]),
        "checkpoint_sha256": sha256(content).hexdigest(),
    }
    onnx.helper.set_model_props(model, metadata)
    sealed = seal(model.SerializeToString())
    parse_onnx(sealed, path, content)
    return sealed


def _export_network(checkpoint: Checkpoint) -> bytes:
    is_reader = purpose_of(checkpoint.architecture) != Purpose.DIGITS
    inputs, steps = ({0: "n", 2: "width"}, {1: "steps"}) if is_reader else ({0: "n"}, {})
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # PyTorch's newer exporter needs two more packages and ten seconds; both make the same graph.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            checkpoint.build(),
            (torch.zeros(2, *example_shape(checkpoint.architecture)[1:]),),
            buffer,  # type: ignore[arg-type] # which this exporter accepts, unlike the newer one
            dynamo=False,
            input_names=["frames"],
            output_names=["logits"],
            dynamic_axes={"frames": inputs, "logits": {0: "n", **steps}},
        )
    return buffer.getvalue()
