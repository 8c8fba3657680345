"""Rates counted in Redis, for all processes together; with a real Redis where one is installed."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import Settings
from flask_app import create_app
from testing.answers import assert_answer, assert_problem
from testing.handwriting import DIGITS

REDIS = shutil.which("redis-server")
ONE = {"strokes": DIGITS[1]}

pytestmark = pytest.mark.skipif(REDIS is None, reason="there is no redis-server")


class Redis:
    """A Redis of its own, that listens on a socket file and keeps nothing."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "redis.sock"
        self.url = f"redis+unix://{self._path}"
        command = [str(REDIS), "--port", "0", "--unixsocket", str(self._path), "--save", "", "--dir", str(folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self._wait_until_it_listens()

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _wait_until_it_listens(self) -> None:
        for _ in range(3000):
            with socket.socket(socket.AF_UNIX) as client:
                if client.connect_ex(str(self._path)) == 0:
                    return
            assert self._process.poll() is None
            time.sleep(0.01)
        raise AssertionError("Redis does not listen")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def limited(settings: Settings, redis: Redis) -> Settings:
    return settings.model_copy(update={"rate_limit": "3/hour", "rate_limit_storage": redis.url})


def test_processes_count_together(limited: Settings) -> None:
    first, second = (create_app(limited).test_client() for _ in range(2))
    for client, left in ((first, 2), (second, 1), (first, 0)):
        response = client.post("/api/v1/predict", json=ONE)
        assert_answer(response, 1)
        assert f"r={left};" in response.headers["RateLimit"]
    for client in (first, second):
        response = client.post("/api/v1/predict", json=ONE)
        assert_problem(response, 429, "too-many-requests")
        assert 0 < int(response.headers["Retry-After"]) <= 3601
        assert client.get("/api/v1/health/ready").status_code == 200


def test_without_redis_each_process_counts_for_itself(limited: Settings, redis: Redis) -> None:
    client = create_app(limited).test_client()
    assert_answer(client.post("/api/v1/predict", json=ONE), 1)
    redis.stop()
    for _ in range(3):
        assert_answer(client.post("/api/v1/predict", json=ONE), 1)
    assert_problem(client.post("/api/v1/predict", json=ONE), 429, "too-many-requests")
