"""The app under gunicorn: it starts, survives the loss of a worker, ends cleanly, or says why it does not start."""

import json
import os
import re
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from model import ARCHITECTURES, Checkpoint, save_checkpoint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn runs on Unix")

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "gunicorn"]
DRAWING = {"strokes": [[[100, 20], [101, 60], [100, 120], [99, 180]]]}


@pytest.fixture
def model_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small untrained network that gunicorn is told to serve, on a free port."""
    path = tmp_path / "model.pth"
    network = ARCHITECTURES["linear"]()
    save_checkpoint(Checkpoint(architecture="linear", arguments={}, state_dict=network.state_dict()), path)
    monkeypatch.setenv("DIGITS_MODEL_PATH", str(path))
    monkeypatch.setenv("DIGITS_PORT", "0")
    return path


@pytest.fixture
def server(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["Server"]:
    assert model_path.exists()
    monkeypatch.setenv("DIGITS_WORKERS", "1")
    with subprocess.Popen(COMMAND, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process)
        finally:
            process.terminate()


class Server:
    """A running gunicorn and its log."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.url = self.wait_for(r"Listening at: (http://\S+)")
        self.worker = int(self.wait_for(r"Booting worker with pid: (\d+)"))

    def wait_for(self, pattern: str) -> str:
        """The group of the first line of the log that matches."""
        for line in self.process.stderr:
            if match := re.search(pattern, line):
                return match[1]
        raise AssertionError(f"gunicorn ended without a line {pattern!r}")

    def predict(self) -> dict[str, Any]:
        # The kernel keeps the request until a worker has loaded the model, so nothing has to wait for that.
        headers = {"Content-Type": "application/json"}
        request = Request(self.url + "/api/v1/predict", json.dumps(DRAWING).encode(), headers)
        with urlopen(request, timeout=60) as response:
            return json.load(response)


def test_answers_and_ends_cleanly(server: Server) -> None:
    assert len(server.predict()["probabilities"]) == 10
    server.process.send_signal(signal.SIGTERM)
    assert "Traceback" not in server.process.communicate(timeout=60)[1]
    assert server.process.returncode == 0


def test_refused_chunked_body_leaves_the_connection_usable(server: Server) -> None:
    url = urlsplit(server.url)
    connection = HTTPConnection(url.hostname or "", url.port, timeout=60)
    for _ in range(2):
        pieces = (bytes(2**20) for _ in range(13))  # a megabyte above the limit
        connection.request("POST", "/api/v1/predict", pieces, {"Content-Type": "application/json"}, encode_chunked=True)
        # Sent without a retry: a connection that was closed without a word fails here.
        connection.auto_open = 0
        response = connection.getresponse()
        assert response.status == 413
        response.read()
    connection.close()


def test_request_without_a_length_is_told_so(server: Server) -> None:
    url = urlsplit(server.url)
    connection = HTTPConnection(url.hostname or "", url.port, timeout=60)
    connection.putrequest("POST", "/api/v1/predict")
    connection.putheader("Content-Type", "application/json")
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()


def test_replaces_a_killed_worker(server: Server) -> None:
    before = server.predict()
    os.kill(server.worker, signal.SIGKILL)
    server.wait_for(r"Booting worker with pid: (\d+)")
    assert server.predict()["probabilities"] == before["probabilities"]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in /proc")
def test_master_forks_without_threads_of_its_own(server: Server) -> None:
    server.predict()
    assert len(list(Path(f"/proc/{server.process.pid}/task").iterdir())) == 1


def test_hangup_brings_in_a_new_model(server: Server, model_path: Path) -> None:
    before = server.predict()["model"]
    network = ARCHITECTURES["linear"]()
    save_checkpoint(Checkpoint(architecture="linear", arguments={}, state_dict=network.state_dict()), model_path)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for(rf"Worker exiting \(pid: ({server.worker})\)")
    assert server.predict()["model"] != before


def refusal() -> str:
    """Start gunicorn where it must refuse; what it writes."""
    process = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert process.returncode == 2
    assert "Traceback" not in process.stderr
    return process.stderr


def test_missing_model_stops_the_start(model_path: Path) -> None:
    model_path.unlink()
    assert "there is no model file" in refusal()


def test_damaged_model_stops_the_start(model_path: Path) -> None:
    model_path.write_bytes(model_path.read_bytes()[:-100])
    assert "train a new one with: python train_model.py" in refusal()


def test_unknown_setting_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_PROT", "5000")
    assert "DIGITS_PROT is not a setting" in refusal()


# ---- the file itself ----


def configuration() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "gunicorn.conf.py"))


def test_settings_reach_gunicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOST": "::1", "PORT": "8123", "WORKERS": "3", "THREADS": "7", "LOG_LEVEL": "debug"}.items():
        monkeypatch.setenv(f"DIGITS_{name}", value)
    conf = configuration()
    assert conf["bind"] == "[::1]:8123"
    assert (conf["workers"], conf["threads"], conf["loglevel"]) == (3, 7, "debug")


@pytest.mark.parametrize(("cpu_max", "cores"), [("400000 100000", 4), ("150000 100000", 1), ("5000 100000", 1)])
def test_one_worker_per_core_of_the_containers_quota(
    cpu_max: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    quota = tmp_path / "cpu.max"
    quota.write_text(cpu_max)
    assert configuration()["_usable_cores"](quota) == cores


def test_one_worker_per_core_where_there_is_no_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    quota = tmp_path / "cpu.max"
    assert configuration()["_usable_cores"](quota) == 64
    quota.write_text("max 100000")
    assert configuration()["_usable_cores"](quota) == 64
