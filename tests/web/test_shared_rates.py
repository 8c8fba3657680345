"""Rates counted in Redis, for all processes together; with a real Redis where one is installed."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from config import Settings
from flask_app import create_app
from testing.answers import assert_answer, assert_problem
from testing.handwriting import DIGITS
from testing.programs import require
from testing.waiting import eventually

ONE = {"strokes": DIGITS[1]}
FALLBACK_METRIC = "digits_rate_limit_fallback 1.0"


class Redis:
    """A Redis of its own, that listens on a socket file and keeps nothing."""

    def __init__(self, program: str, folder: Path) -> None:
        self._path = folder / "redis.sock"
        self.url = f"redis+unix://{self._path}"
        command = [program, "--port", "0", "--unixsocket", str(self._path), "--save", "", "--dir", str(folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        eventually(self._listens)

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Let it accept connections, as the kernel does, but answer none."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again."""
        self._process.send_signal(signal.SIGCONT)

    def _listens(self) -> bool:
        assert self._process.poll() is None
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self._path)) == 0


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    program = require("redis", shutil.which("redis-server"), "there is no redis-server")
    server = Redis(program, tmp_path)
    yield server
    server.stop()


@pytest.fixture
def limited(settings: Settings, redis: Redis) -> Settings:
    return settings.model_copy(update={"rate_limit": "3/hour", "rate_limit_storage": redis.url})


def remaining(client: FlaskClient) -> int:
    """What is left after one more prediction, which must be allowed."""
    response = client.post("/api/v1/predict", json=ONE)
    assert_answer(response, 1)
    return int(response.headers["RateLimit"].partition("r=")[2].partition(";")[0])


def test_processes_count_together(limited: Settings) -> None:
    first, second = (create_app(limited).test_client() for _ in range(2))
    assert [remaining(client) for client in (first, second, first)] == [2, 1, 0]
    for client in (first, second):
        response = client.post("/api/v1/predict", json=ONE)
        assert_problem(response, 429, "too-many-requests")
        assert 0 < int(response.headers["Retry-After"]) <= 3600
        assert client.get("/api/v1/health/ready").status_code == 200


def test_without_redis_each_process_counts_for_itself(limited: Settings, redis: Redis) -> None:
    client = create_app(limited).test_client()
    assert remaining(client) == 2
    redis.stop()
    assert [remaining(client) for _ in range(3)] == [2, 1, 0]
    assert_problem(client.post("/api/v1/predict", json=ONE), 429, "too-many-requests")


def test_redis_that_hangs_does_not_stop_the_service(
    limited: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(limited.model_copy(update={"rate_limit": "100/hour"}))
    assert remaining(app.test_client()) == 99
    redis.pause()
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(app.test_client().post, "/api/v1/predict", json=ONE) for _ in range(40)]
        assert [answer.result(timeout=60).status_code for answer in answers] == [200] * 40
    assert remaining(app.test_client()) == 59
    assert app.test_client().get("/api/v1/health/ready").status_code == 200
    assert FALLBACK_METRIC in app.test_client().get("/metrics").text
    assert len([record for record in caplog.records if "rate limits" in record.message]) == 1

    redis.resume()
    monkeypatch.setattr("web.rate_limits.monotonic", lambda: time.monotonic() + 60)
    # Redis now counts the requests, at most one for each thread, that gave up waiting for it.
    assert 90 <= remaining(app.test_client()) <= 98
    assert FALLBACK_METRIC not in app.test_client().get("/metrics").text
