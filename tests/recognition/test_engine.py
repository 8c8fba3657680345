"""Both engines and the scores in NumPy agree with the network and the scores in PyTorch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import model
from checkpoint import Checkpoint, load_checkpoint
from config import ROOT, EngineName, Settings
from model import DigitCNN
from model_file import NUMBER_READER, CheckpointError, Purpose
from recognition import engine
from recognition.engine import digit_probabilities, digit_scores, read_model, read_models
from testing.checkpoints import engine_of, save_blind_reader, save_untrained
from testing.tiny_mnist import make_digits


def assert_same_logits(checkpoint: Checkpoint, frames: np.ndarray, name: EngineName) -> None:
    logits = engine_of(checkpoint, name).logits(frames)
    assert (logits.shape, logits.dtype) == ((len(frames), 11), np.float32)
    with torch.inference_mode():
        np.testing.assert_allclose(logits, checkpoint.build()(torch.from_numpy(frames)).numpy(), atol=1e-4)


@pytest.mark.parametrize("name", [EngineName.ONNX, EngineName.TORCH])
def test_engine_gives_the_logits_of_the_network(name: EngineName) -> None:
    torch.manual_seed(0)
    checkpoint = Checkpoint(architecture="cnn", arguments={}, state_dict=DigitCNN().state_dict())
    assert_same_logits(checkpoint, np.random.default_rng(0).random((3, 28, 28), np.float32), name)


@pytest.mark.parametrize("name", model.ARCHITECTURES)
def test_every_architecture_is_exported(name: str) -> None:
    network = model.ARCHITECTURES[name]()
    checkpoint = Checkpoint(architecture=name, arguments={}, state_dict=network.state_dict())
    assert_same_logits(checkpoint, np.zeros((1, 28, 28), np.float32), EngineName.ONNX)


def test_shipped_files_agree_on_a_thousand_frames() -> None:
    frames = (make_digits(1000, seed=3)[0] / 255).astype(np.float32)
    expected = engine_of(load_checkpoint(ROOT / "mnist_model.pth"), EngineName.TORCH)
    shipped = engine.start_engine(read_model(ROOT / "mnist_model.pth", EngineName.ONNX))
    assert shipped.info == expected.info
    np.testing.assert_allclose(shipped.logits(frames), expected.logits(frames), atol=1e-4)


@pytest.mark.parametrize("outputs", [10, 11])
@pytest.mark.parametrize("scale", [1, 500])
def test_scores_equal_those_of_the_trainer(outputs: int, scale: int) -> None:
    logits = scale * np.random.default_rng(0).standard_normal((5, outputs)).astype(np.float32)
    tensor = torch.from_numpy(logits)
    np.testing.assert_allclose(digit_scores(logits), model.digit_score(tensor).numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        digit_probabilities(logits, 1.3), model.digit_probabilities(tensor, 1.3).numpy(), atol=1e-6
    )


# ---- which engine ----


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_untrained(tmp_path / "m.pth")
    return tmp_path / "m.pth"


def install(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    monkeypatch.setattr(engine, "_is_installed", lambda package: package in packages)


def test_onnx_runtime_is_preferred(path: Path) -> None:
    assert read_model(path).engine == EngineName.ONNX
    assert read_model(path, EngineName.TORCH).engine == EngineName.TORCH


def test_torch_runs_a_checkpoint_without_an_onnx_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.with_suffix(".onnx").unlink()
    assert read_model(path).engine == EngineName.TORCH
    with pytest.raises(CheckpointError, match=r"no model file .*m.onnx; .*python train_model.py export .*m.pth"):
        read_model(path, EngineName.ONNX)
    install(monkeypatch, "onnxruntime")
    with pytest.raises(CheckpointError, match=r"no model file .*m.onnx"):
        read_model(path)


def test_onnx_file_is_served_without_its_checkpoint(path: Path) -> None:
    path.unlink()
    assert read_model(path).engine == EngineName.ONNX


def test_torch_is_used_where_it_alone_is_installed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "torch")
    assert read_model(path).engine == EngineName.TORCH
    with pytest.raises(CheckpointError, match=r"ONNX Runtime is not installed, .*requirements-serve\.txt"):
        read_model(path, EngineName.ONNX)


@pytest.mark.parametrize("name", [EngineName.ONNX, EngineName.TORCH])
def test_kind_of_network_is_verified(path: Path, tmp_path: Path, name: EngineName) -> None:
    numbers = tmp_path / "n.pth"
    save_blind_reader(numbers)
    assert read_model(numbers, name, purpose=Purpose.NUMBERS).info.architecture == NUMBER_READER
    with pytest.raises(CheckpointError, match=r"n\.\w+ reads numbers, not single digits$"):
        read_model(numbers, name)
    with pytest.raises(CheckpointError, match=r"m\.\w+ reads single digits, not numbers$"):
        read_model(path, name, purpose=Purpose.NUMBERS)


@pytest.mark.parametrize(("kept", "found"), [("n.pth", True), ("n.onnx", True), ("none", False)])
def test_numbers_are_read_if_either_file_is_there(path: Path, tmp_path: Path, kept: str, found: bool) -> None:
    numbers = tmp_path / "n.pth"
    save_blind_reader(numbers)
    for file in (numbers, numbers.with_suffix(".onnx")):
        if file.name != kept:
            file.unlink()
    settings = Settings(_env_file=None, model_path=path, number_model_path=numbers)
    assert (read_models(settings)[1] is not None) == found
    assert read_models(settings, with_numbers=False)[1] is None


def test_number_model_that_is_asked_for_must_be_there(path: Path, tmp_path: Path) -> None:
    settings = Settings(_env_file=None, model_path=path, number_model_path=tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="none"):
        read_models(settings, with_numbers=True)


def test_missing_libraries_are_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.raises(CheckpointError, match="ONNX Runtime is not installed"):
        read_model(path)
    with pytest.raises(CheckpointError, match=r"PyTorch is not installed, .*requirements\.txt"):
        read_model(path, EngineName.TORCH)


NO_TORCH = "import sys; sys.modules['torch'] = None; "


def run(program: str) -> str:
    command = [sys.executable, "-c", program]
    environment = {"OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


def test_server_needs_no_torch() -> None:
    serve = "import flask_app; print(flask_app.create_app().test_client().get('/api/v1/model').json['engine'])"
    assert run(NO_TORCH + serve) == "onnx\n"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in /proc")
def test_onnx_runtime_starts_no_thread_not_even_for_telemetry() -> None:
    load = "from config import ROOT; from recognition import Recognizer; Recognizer.load(ROOT / 'mnist_model.pth')"
    assert run(f"import os; {load}; print(len(os.listdir('/proc/self/task')))") == "1\n"


@pytest.mark.parametrize("program", ["train_model", "evaluate_model"])
def test_training_names_what_to_install(program: str) -> None:
    command = [sys.executable, "-c", NO_TORCH + f"import runpy; runpy.run_module('{program}', run_name='__main__')"]
    done = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"{program}: PyTorch is not installed, get it with: pip install -r requirements.txt\n"
