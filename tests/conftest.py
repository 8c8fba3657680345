"""The app as tests use it, made by the same factory that serves it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from config import Environment, Limits, Settings
from flask_app import create_app
from testing.handwriting import DIGITS
from testing.pictures import picture_of
from testing.serving import save_untrained
from testing.tiny_mnist import write_mnist

ROOT = Path(__file__).parents[1]

# How long an example takes says more about the machine than about the code.
hypothesis_settings.register_profile("no deadline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("no deadline")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", action="store_true", help="try the API with a great many requests: make fuzz-api")
    parser.addoption("--cluster", action="store_true", help="start a Ray cluster on this machine: make test-cluster")


@pytest.fixture(scope="session")
def server_url(settings: Settings) -> Iterator[str]:
    """Address of the real server, as a process of its own."""
    environment = {**os.environ, "DIGITS_PORT": "0", "DIGITS_MODEL_PATH": str(settings.model_path)}
    command = [sys.executable, "flask_app.py"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        yield re.findall(r"http://127\.0\.0\.1:\d+", process.stdout.readline())[0]
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The default settings, whatever a developer's `.env` file says."""
    return Settings(_env_file=None, env=Environment.TEST, port=0, limits=Limits(_env_file=None))


@pytest.fixture(scope="session")
def app(settings: Settings) -> Flask:
    return create_app(settings)


@pytest.fixture
def client(app: Flask) -> Iterator[FlaskClient]:
    with app.test_client() as client:
        yield client


@pytest.fixture
def model_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small untrained network that gunicorn is told to serve, on a free port."""
    path = tmp_path / "model.pth"
    save_untrained(path)
    monkeypatch.setenv("DIGITS_MODEL_PATH", str(path))
    monkeypatch.setenv("DIGITS_PORT", "0")
    return path


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder with a picture of every digit, named by it."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for digit, drawing in DIGITS.items():
        (folder / f"{digit}.png").write_bytes(picture_of(drawing))
    return folder


@pytest.fixture(scope="session")
def tiny_mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A torchvision root with 240 training and 50 test digits. Not to be written to."""
    return write_mnist(tmp_path_factory.mktemp("data"))
