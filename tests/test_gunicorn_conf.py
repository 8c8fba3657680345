"""The app under gunicorn: it starts, survives the loss of a worker, ends cleanly, or says why it does not start."""

import gc
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
from unittest.mock import Mock

import pytest

from config import ROOT
from testing.checkpoints import save_blind_reader, save_untrained
from testing.servers import Server, start_gunicorn
from testing.waiting import eventually
from web import processes

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn runs on Unix")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def replaceable(folder: Path) -> Iterator[Server]:
    """A server whose worker and model file tests replace. It must end cleanly."""
    save_untrained(folder / "model.pth")
    environment = {
        "DIGITS_MODEL_PATH": str(folder / "model.pth"),
        "DIGITS_NUMBER_MODEL_PATH": str(folder / "numbers.pth"),
    }
    with start_gunicorn(folder / "log", workers=1, environment=environment) as server:
        yield server
        assert server.stop(signal.SIGTERM) == 0
    assert "Traceback" not in server.log()


def kill_worker(server: Server) -> None:
    """Kill the worker, and wait for the next."""
    os.kill(server.worker, signal.SIGKILL)
    server.wait_for(r"Booting worker with pid: (\d+)")


def reload(server: Server) -> None:
    """Send HUP, and wait until the old worker has ended."""
    old_worker = server.worker
    server.process.send_signal(signal.SIGHUP)
    server.wait_for(rf"Worker exiting \(pid: ({old_worker})\)")


def test_refused_chunked_body_leaves_the_connection_usable(server: Server) -> None:
    connection = HTTPConnection(*server.address, timeout=60)
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
    connection = HTTPConnection(*server.address, timeout=60)
    connection.putrequest("POST", "/api/v1/predict")
    connection.putheader("Content-Type", "application/json")
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in /proc")
def test_master_forks_without_threads_of_its_own(server: Server) -> None:
    server.predict()
    assert len(list(Path(f"/proc/{server.process.pid}/task").iterdir())) == 1


def test_killed_worker_is_replaced_and_its_counts_are_kept(replaceable: Server) -> None:
    before, counted = replaceable.predict(), count_predictions(replaceable)
    kill_worker(replaceable)
    assert replaceable.predict()["probabilities"] == before["probabilities"]
    assert count_predictions(replaceable) == counted + 1
    info = f'digits_model_info{{architecture="linear",engine="onnx",model="{before["model"]}"}} 1.0'
    assert info in replaceable.get("/metrics")  # and not 2.0


def count_predictions(server: Server) -> float:
    (line,) = re.findall(
        r'^digits_requests_total\{route="/api/v1/predict",status="200"\} .*', server.get("/metrics"), re.M
    )
    return float(line.split()[1])


def test_hangup_brings_in_a_new_model(replaceable: Server, folder: Path) -> None:
    new = save_untrained(folder / "model.pth")
    reload(replaceable)
    assert replaceable.predict()["model"] == new


def test_new_file_is_not_served_before_a_hangup(replaceable: Server, folder: Path) -> None:
    old = replaceable.predict()["model"]
    save_untrained(folder / "model.pth")
    kill_worker(replaceable)
    assert replaceable.predict()["model"] == old


def test_hangup_with_a_damaged_file_keeps_the_model(replaceable: Server, folder: Path) -> None:
    old = replaceable.predict()["model"]
    (folder / "model.pth").write_bytes(b"no network")
    reload(replaceable)
    assert "keeping the current models" in replaceable.log()
    assert replaceable.predict()["model"] == old
    save_untrained(folder / "model.pth")


def test_hangup_brings_in_a_number_model_but_not_a_damaged_one(replaceable: Server, folder: Path) -> None:
    def named() -> list[str]:
        return re.findall(
            r'digits_model_info{architecture="number-cnn",engine="onnx",model="(.*)"} 1.0', replaceable.get("/metrics")
        )

    assert named() == []
    number_model = save_blind_reader(folder / "numbers.pth")
    reload(replaceable)
    eventually(lambda: named() == [number_model])
    (folder / "numbers.pth").write_bytes(b"no network")
    (folder / "numbers.onnx").write_bytes(b"no network")
    reload(replaceable)
    eventually(lambda: named() == [number_model])


def test_hangup_reads_no_settings(model_path: Path, tmp_path: Path) -> None:
    assert model_path.exists()
    (tmp_path / ".env").write_text("DIGITS_WORKERS=1")
    with start_gunicorn(tmp_path / "log", folder=tmp_path) as server:
        before = server.predict()
        (tmp_path / ".env").write_text("DIGITS_WORKERS=none")
        reload(server)
        assert server.predict()["model"] == before["model"]


def refusal() -> str:
    """Start gunicorn where it must refuse; what it writes."""
    command = [sys.executable, "-m", "gunicorn"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert process.returncode == 2
    assert "Traceback" not in process.stderr
    return process.stderr


def test_missing_model_stops_the_start(model_path: Path) -> None:
    model_path.unlink()
    model_path.with_suffix(".onnx").unlink()
    assert "there is no model file" in refusal()


def test_number_model_in_place_of_the_digit_model_stops_the_start(model_path: Path) -> None:
    save_blind_reader(model_path)
    assert refusal().endswith(f"gunicorn.conf.py: {model_path.with_suffix('.onnx')} reads numbers, not single digits\n")


def test_damaged_model_stops_the_start(
    model_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(processes, "settings", None)  # `on_starting` sets it

    def reason() -> str:
        with pytest.raises(SystemExit, match="2"):
            configuration()["on_starting"](Mock())
        return capsys.readouterr().err

    model_path.write_bytes(model_path.read_bytes()[:-100])
    assert "was not exported from the checkpoint beside it; export it with: python train_model.py" in reason()
    model_path.with_suffix(".onnx").unlink()
    assert "is damaged, or not a PyTorch file; train a new one with: python train_model.py" in reason()


def test_unknown_setting_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_PROT", "5000")
    assert "DIGITS_PROT is not a setting" in refusal()


# ---- the file itself ----


def test_nothing_is_imported_before_its_variables_are_set() -> None:
    conf = "import runpy; chosen = runpy.run_path('gunicorn.conf.py')"
    command = f"{conf}; __import__(chosen['worker_class'].rpartition('.')[0]); import sys; print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "cv2", "prometheus_client"} & set(process.stdout.split())


def configuration() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "gunicorn.conf.py"))


def test_settings_reach_gunicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOST": "::1", "PORT": "8123", "WORKERS": "3", "THREADS": "7", "LOG_LEVEL": "debug"}.items():
        monkeypatch.setenv(f"DIGITS_{name}", value)
    conf = configuration()
    assert conf["bind"] == ["[::1]:8123"]
    assert (conf["workers"], conf["threads"], conf["loglevel"]) == (3, 7, "debug")


def test_metrics_have_a_port_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_PORT", "8123")
    monkeypatch.setenv("DIGITS_METRICS_PORT", "8124")
    assert configuration()["bind"] == ["127.0.0.1:8123", "127.0.0.1:8124"]


def test_collector_leaves_to_workers_what_they_share() -> None:
    worker = Mock()
    try:
        configuration()["pre_fork"](Mock(WORKERS={7: Mock(slot=1)}), worker)
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
    assert worker.slot == 2


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


@pytest.mark.parametrize(
    ("descriptors", "connections"), [(-1, 500), (1_048_576, 500), (1024, 500), (256, 156), (64, 10)]
)
def test_connections_leave_file_descriptors_for_everything_else(
    descriptors: int, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (descriptors, -1))
    assert configuration()["worker_connections"] == connections
