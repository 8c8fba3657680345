"""The app as tests use it, made by the same factory that serves it."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from config import Environment, Limits, Settings
from flask_app import create_app

# How long an example takes says more about the machine than about the code.
hypothesis_settings.register_profile("no deadline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("no deadline")


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
