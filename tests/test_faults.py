"""The server when a file operation fails or the clock is set: no response but 200, 503 or 507, and no worker ends."""

import errno
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from itertools import count, cycle, product
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from config import ROOT
from testing.checkpoints import save_untrained
from testing.handwriting import DIGITS
from testing.pictures import multipart, picture_of
from testing.servers import DRAWING, Server, start_gunicorn

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn runs on Unix")

CODES = [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.ENOMEM]
MAX_OPERATIONS = 12
DAY = 86_400  # seconds


class Faults:
    """What tests/faults/sitecustomize.py reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._times = count(1)
        self.clear()

    def fail(self, number: int, code: int) -> None:
        """Let the `number`-th file operation of each process fail from now on."""
        self._write(number, code, 0)

    def set_clock(self, seconds: int) -> None:
        """Set the clock forward or back."""
        self._write(0, 0, seconds)

    def clear(self) -> None:
        """Let everything work."""
        self._write(0, 0, 0)

    def _write(self, *numbers: int) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(" ".join(map(str, numbers)))
        os.utime(new, (next(self._times),) * 2)
        new.replace(self._path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def shared_faults(folder: Path) -> Faults:
    return Faults(folder / "fault")


@pytest.fixture
def faults(shared_faults: Faults) -> Iterator[Faults]:
    yield shared_faults
    shared_faults.clear()


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    save_untrained(folder / "model.pth")
    return {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "faults"), str(ROOT)]),
        "FAULT_FILE": str(folder / "fault"),
        "DIGITS_MODEL_PATH": str(folder / "model.pth"),
    }


@pytest.fixture(scope="module")
def server(folder: Path, environment: dict[str, str], shared_faults: Faults) -> Iterator[Server]:
    shared_faults.clear()
    with start_gunicorn(folder / "log", workers=1, environment=environment) as server:
        yield server


def upload(server: Server) -> int:
    """The status of an upload of 1 MB."""
    form = multipart(picture_of(DIGITS[3]) + bytes(2**20))  # decoders ignore what follows the picture
    request = Request(server.url + "/", form["data"], {"Content-Type": form["content_type"]})
    return status_of(request)


def status_of(request: Request | str) -> int:
    try:
        with urlopen(request, timeout=60) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code


def test_requests_whose_file_operations_fail(server: Server, faults: Faults) -> None:
    workers = server.workers()
    for number, code in product(range(1, MAX_OPERATIONS), CODES):
        faults.fail(number, code)
        assert upload(server) in {200, 503, 507}, (number, code)
        assert status_of(server.url + "/metrics") in {200, 503, 507}, (number, code)
    faults.clear()
    assert upload(server) == 200
    assert server.workers() == workers


def test_reloads_whose_file_operations_fail(server: Server, faults: Faults) -> None:
    for number, code in zip(range(1, MAX_OPERATIONS, 2), cycle(CODES), strict=False):
        faults.fail(number, code)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for(r"Worker exiting \(pid: (\d+)")
        faults.clear()
        assert len(server.predict()["probabilities"]) == 10, (number, code)
        assert server.process.poll() is None, (number, code)


@pytest.mark.parametrize("number", range(1, MAX_OPERATIONS, 2))
def test_start_whose_file_operation_fails_serves_or_ends(
    tmp_path: Path, environment: dict[str, str], faults: Faults, number: int
) -> None:
    faults.fail(number, errno.ENOSPC)
    try:
        with start_gunicorn(tmp_path / "log", workers=1, environment=environment) as server:
            assert len(server.predict()["probabilities"]) == 10
    except RuntimeError:  # it ended
        assert "No space left on device" in (tmp_path / "log").read_text()


def test_clock_that_is_set_by_a_day_disturbs_no_connection(server: Server, faults: Faults) -> None:
    workers = server.workers()
    with ExitStack() as stack:
        silent = stack.enter_context(server.connect())
        connection = stack.enter_context(closing(HTTPConnection(*server.address, timeout=20)))
        for seconds in (0, DAY, -DAY, 0):
            faults.set_clock(seconds)
            connection.request("POST", "/api/v1/predict", json.dumps(DRAWING), {"Content-Type": "application/json"})
            response = connection.getresponse()
            assert response.status == 200
            assert response.read()
            connection.auto_open = 0  # the connection must be kept alive
        assert silent.recv(1) == b""  # closed after some seconds of monotonic time
    assert server.workers() == workers
