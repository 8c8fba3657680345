"""The server when connections, descriptors or shared memory run out, and when its clock is changed."""

import errno
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from unittest.mock import Mock

import pytest
from flask.testing import FlaskClient

from testing.handwriting import DIGITS
from testing.pictures import multipart, picture_of
from testing.servers import Server, start_gunicorn
from web import metrics

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn runs on Unix")


@pytest.fixture
def start(tmp_path: Path, model_path: Path) -> Callable[..., Server]:
    """Starts a server with one worker and these arguments of gunicorn's command line."""

    def start(*arguments: str) -> Server:
        environment = {"DIGITS_MODEL_PATH": str(model_path)}
        return start_gunicorn(tmp_path / "log", workers=1, environment=environment, arguments=arguments)

    return start


def open_idle_connection(server: Server, stack: ExitStack) -> HTTPConnection:
    """A connection that is kept alive after one answer."""
    connection = stack.enter_context(closing(HTTPConnection(*server.address, timeout=60)))
    connection.request("GET", "/api/v1/health/live")
    assert connection.getresponse().read()
    return connection


# ---- connections and descriptors ----


def test_idle_connections_give_way_to_new_ones(start: Callable[..., Server]) -> None:
    with start("--worker-connections", "20", "--keep-alive", "3600") as server, ExitStack() as stack:
        for _ in range(60):
            open_idle_connection(server, stack)
        server.predict()


def test_silent_connections_give_way_to_new_ones(start: Callable[..., Server]) -> None:
    with start("--worker-connections", "20") as server, ExitStack() as stack:
        silent = [stack.enter_context(server.connect()) for _ in range(60)]
        server.predict()
        assert silent[0].recv(1) == b""


@contextmanager
def descriptor_limit(number: int) -> Iterator[None]:
    """The most files that a process started here may open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    "arguments", [(), ("--worker-connections", "500")], ids=["default", "more connections than descriptors"]
)
def test_worker_survives_more_clients_than_descriptors(
    start: Callable[..., Server], arguments: tuple[str, ...]
) -> None:
    with ExitStack() as stack:
        with descriptor_limit(200):
            server = stack.enter_context(start(*arguments))
        worker = server.worker
        for _ in range(300):
            stack.enter_context(server.connect())
        server.predict()
        assert server.workers() == [worker]
    assert "Traceback" not in server.log()
    assert '"trace"' not in server.log()


# ---- shared memory and disk ----


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=False).returncode:
        pytest.skip("only root may mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


_FILL = """
with open(FOLDER + "/ballast", "wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(4096))
    except OSError:
        pass
"""
# More series than fit into what Prometheus's client allocates at first.
_COUNT = """
for number in range(1000):
    metrics.count_problem(f"type-{number:0100}")
metrics.set_admitted(3)
"""
_START = "from web import metrics; metrics.use_slot(1); metrics.count_overload()\n"


@pytest.mark.parametrize("steps", [(_FILL, _START, _COUNT), (_START, _FILL, _COUNT)], ids=["at the start", "later"])
def test_full_shared_memory_does_not_end_a_process_that_counts(small_disk: Path, steps: tuple[str, ...]) -> None:
    script = "\n".join([f"FOLDER = {str(small_disk)!r}", *steps])
    command = ["env", f"PROMETHEUS_MULTIPROC_DIR={small_disk}", sys.executable, "-c", script]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr


def test_metrics_of_all_routes_fit_into_the_allocated_file(client: FlaskClient) -> None:
    for path in ("/", "/api/v1/predict", "/api/v1/model", "/nothing", "/openapi.json", "/model"):
        client.get(path)
    assert 4 * len(client.get("/metrics").data) < metrics.FILE_BYTES


def test_large_upload_needs_no_disk(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    picture = picture_of(DIGITS[3]) + bytes(2**20)  # decoders ignore what follows the picture
    response = client.post("/api/v1/predict", **multipart(picture))
    assert response.status_code == 200


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.ENOMEM])
def test_failing_system_call_is_a_503(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr("flask.app.Flask.dispatch_request", Mock(side_effect=OSError(code, os.strerror(code))))
    response = client.get("/api/v1/model")
    assert response.status_code == 503
    assert response.get_json()["type"] == "out-of-resources"
    assert response.headers["Retry-After"]
