"""Starting the app, and the errors that prevent it."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
import torch

import flask_app
from config import Settings
from flask_app import create_app

ROOT = Path(__file__).parents[1]


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """Try to start the app; its one line on standard error."""
    assert flask_app.main([]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    return line


def test_missing_model_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIGITS_MODEL_PATH", str(tmp_path / "none.pth"))
    line = refusal(capsys)
    assert "there is no model file" in line
    assert "python train_model.py" in line


def test_corrupt_model_stops_the_start(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(settings.model_path.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "bad.pth").write_bytes(data)
    monkeypatch.setenv("DIGITS_MODEL_PATH", str(tmp_path / "bad.pth"))
    line = refusal(capsys)
    assert "damaged" in line
    assert "python train_model.py" in line


@pytest.mark.parametrize(
    ("setting", "given", "sentence"),
    [
        ("DIGITS_MODEL_PATH", "number_model_path", "reads numbers, not single digits"),
        ("DIGITS_NUMBER_MODEL_PATH", "model_path", "reads single digits, not numbers"),
        ("DIGITS_STROKE_MODEL_PATH", "number_model_path", "reads numbers, not pen strokes"),
    ],
)
def test_model_of_the_other_kind_stops_the_start(
    setting: str,
    given: str,
    sentence: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = getattr(settings, given)
    monkeypatch.setenv(setting, str(path))
    assert refusal(capsys) == f"flask_app.py: {path.with_suffix('.onnx')} {sentence}"


@pytest.mark.parametrize("setting", ["DIGITS_NUMBER_MODEL_PATH", "DIGITS_STROKE_MODEL_PATH"])
def test_damaged_model_of_a_reader_stops_the_start(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    monkeypatch.setenv(setting, str(tmp_path / "bad.pth"))
    assert "bad.onnx is damaged" in refusal(capsys)


def test_file_that_is_not_a_checkpoint_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    monkeypatch.setenv("DIGITS_MODEL_PATH", str(tmp_path / "other.pth"))
    line = refusal(capsys)
    assert "not a checkpoint of this project" in line
    assert "python train_model.py" in line


@pytest.mark.parametrize(("name", "value"), [("DIGITS_PROT", "5000"), ("DIGITS_PORT", "five"), ("DIGITS_ENV", "moon")])
def test_bad_setting_stops_the_start(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    assert name in refusal(capsys)


def test_taken_port_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], settings: Settings
) -> None:
    monkeypatch.setenv("DIGITS_MODEL_PATH", str(settings.model_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("DIGITS_PORT", str(taken.getsockname()[1]))
        assert "in use" in refusal(capsys)


def test_app_can_be_made_before_there_is_a_model(tmp_path: Path, settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"model_path": tmp_path / "none.pth"}), load_model=False)
    assert app.test_client().get("/api/v1/health/live").status_code == 200


def test_command_serves_until_interrupted(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("DIGITS_PORT", "0")
    monkeypatch.setenv("DIGITS_MODEL_PATH", str(settings.model_path))
    command = [sys.executable, "flask_app.py"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            first_line = process.stdout.readline()
            assert "development server" in first_line
            (url,) = re.findall(r"http://127\.0\.0\.1:\d+", first_line)
            with urlopen(url + "/api/v1/health/ready") as response:
                assert response.status == 200
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()  # otherwise a failure above would wait for the server
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_command_that_cannot_start_exits_with_status_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_MODEL_PATH", str(tmp_path / "none.pth"))
    process = subprocess.run([sys.executable, "flask_app.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert "python train_model.py" in process.stderr
    assert "Traceback" not in process.stderr
