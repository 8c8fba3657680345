"""The app as tests use it, made by the same factory that serves it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from config import Environment, Limits, Settings
from flask_app import create_app
from testing.checkpoints import save_untrained
from testing.handwriting import DIGITS
from testing.pictures import picture_of
from testing.servers import Server, start_gunicorn
from testing.tiny_mnist import write_mnist

# How long an example takes says more about the machine than about the code.
hypothesis_settings.register_profile("no deadline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("no deadline")


# A shell that runs the tests in the background has them ignore SIGINT, and so would every process that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", action="store_true", help="try the API with a great many requests: make fuzz-api")


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The default settings, whatever a developer's `.env` file says."""
    return Settings(_env_file=None, env=Environment.TEST, port=0, limits=Limits(_env_file=None))


@pytest.fixture(scope="session")
def app(settings: Settings) -> Flask:
    return create_app(settings)


@pytest.fixture(scope="session")
def server(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """gunicorn with the default settings and the shipped models."""
    environment = {"DIGITS_MODEL_PATH": str(settings.model_path)}
    with start_gunicorn(tmp_path_factory.mktemp("server") / "log", environment=environment, workers=1) as server:
        yield server


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
