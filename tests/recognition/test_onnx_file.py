"""ONNX files that are served, and those that are refused."""

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from config import ROOT, EngineName
from model_file import PREPROCESSING_VERSION, CheckpointError
from recognition.engine import read_model, start_engine
from recognition.onnx_file import seal
from testing.checkpoints import save_untrained


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An ONNX file of an untrained network, beside its checkpoint."""
    save_untrained(tmp_path / "m.pth")
    return tmp_path / "m.onnx"


def assert_refused(path: Path, sentence: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        start_engine(read_model(path.with_suffix(".pth"), EngineName.ONNX))
    assert str(path) in str(caught.value)
    assert sentence in str(caught.value)


def change(path: Path, **metadata: str) -> onnx.ModelProto:
    """Write the file again with other metadata, and a digest that fits; None removes an entry."""
    model = onnx.load(path)
    entries = {entry.key: entry.value for entry in model.metadata_props if entry.key != "sha256"} | metadata
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, entries)
    path.write_bytes(seal(model.SerializeToString()))
    return model


def test_file_is_a_valid_onnx_model_with_its_metadata() -> None:
    model = onnx.load(ROOT / "mnist_model.onnx")
    onnx.checker.check_model(model, full_check=True)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert {"id", "temperature", "rejection_threshold", "preprocessing", "labels", "checkpoint_sha256"} < set(metadata)


def test_single_flipped_bit_is_found(path: Path) -> None:
    whole, generator = path.read_bytes(), random.Random(0)
    last = 8 * len(whole) - 1
    for bit in [*(generator.randrange(last) for _ in range(200)), *range(0, 800, 7), *range(last - 800, last)]:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        assert_refused(path, "is damaged")


@pytest.mark.parametrize("length", [0, 1, 50, 100, 5000, -1, -80])
def test_truncated_file_is_refused(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    assert_refused(path, "is damaged, or not an ONNX file of this project")


def test_file_of_another_checkpoint_is_refused(path: Path, tmp_path: Path) -> None:
    save_untrained(tmp_path / "other.pth")
    (tmp_path / "other.onnx").replace(path)
    assert_refused(path, "was not exported from the checkpoint beside it; export it with: python train_model.py export")


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({"preprocessing": "1"}, f"frames of version 1, and this program makes version {PREPROCESSING_VERSION}"),
        ({"temperature": "0"}, "temperature or rejection threshold is invalid"),
        ({"temperature": "nan"}, "temperature or rejection threshold is invalid"),
        ({"rejection_threshold": "inf"}, "temperature or rejection threshold is invalid"),
        ({"temperature": "warm"}, "is not a model of this project"),
        ({"labels": "[1"}, "is not a model of this project"),
    ],
)
def test_metadata_that_do_not_fit_are_refused(path: Path, metadata: dict[str, Any], sentence: str) -> None:
    change(path, **metadata)
    assert_refused(path, sentence)


def test_other_onnx_files_are_refused(path: Path) -> None:
    model = onnx.load(path)
    del model.metadata_props[:]
    path.write_bytes(seal(model.SerializeToString()))
    assert_refused(path, "is not a model of this project")
    path.write_bytes(seal(b""))
    assert_refused(path, "is not a model of this project")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weight_that_is_not_finite_is_refused(path: Path, value: float) -> None:
    model = change(path)
    weights = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    values = onnx.numpy_helper.to_array(weights).copy()
    values.flat[5] = value
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    path.write_bytes(seal(model.SerializeToString()))
    assert_refused(path, "a weight is not a finite number")


def test_network_that_cannot_be_run_is_refused(path: Path) -> None:
    model = change(path)
    del model.graph.node[0]
    path.write_bytes(seal(model.SerializeToString()))
    assert_refused(path, "ONNX Runtime cannot run its network")


def test_network_with_other_outputs_is_refused(path: Path) -> None:
    model = change(path)
    for tensor in model.graph.initializer:
        if np.prod(tensor.dims) in (11, 11 * 784):
            values = onnx.numpy_helper.to_array(tensor)[:7]
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 7
    path.write_bytes(seal(model.SerializeToString()))
    assert_refused(path, "its weights do not fit its architecture")
