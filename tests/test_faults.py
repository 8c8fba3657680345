"""The server when its n-th file operation fails: no response but 200, 503 or 507, and no death."""

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from testing.checkpoints import save_untrained
from testing.handwriting import DIGITS
from testing.pictures import picture_of
from testing.servers import ROOT, Server, start_gunicorn

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn runs on Unix")

CODES = [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.ENOMEM]
NAMES = [errno.errorcode[code] for code in CODES]
MAX_OPERATIONS = 12


class Faults:
    """What tests/faults/sitecustomize.py reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._times = count(1)
        self.clear()

    def fail(self, number: int, code: int) -> None:
        """Let the `number`-th file operation of each process fail from now on."""
        new = self._path.with_suffix(".new")
        new.write_text(f"{number} {code}")
        os.utime(new, (next(self._times),) * 2)
        new.replace(self._path)

    def clear(self) -> None:
        self.fail(0, 0)


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    return Faults(tmp_path / "fault")


@pytest.fixture
def environment(tmp_path: Path, faults: Faults) -> dict[str, str]:
    faults.clear()
    save_untrained(tmp_path / "model.pth")
    return {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "faults"), str(ROOT)]),
        "FAULT_FILE": str(tmp_path / "fault"),
        "DIGITS_MODEL_PATH": str(tmp_path / "model.pth"),
    }


@pytest.fixture
def server(tmp_path: Path, environment: dict[str, str]) -> Iterator[Server]:
    with start_gunicorn(tmp_path / "log", workers=1, environment=environment) as server:
        yield server


def upload(server: Server) -> int:
    """The status of an upload of 1 MB."""
    body = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    body += picture_of(DIGITS[3]).getvalue() + bytes(2**20) + b"\r\n--b--\r\n"
    request = Request(server.url + "/", body, {"Content-Type": "multipart/form-data; boundary=b"})
    return status_of(request)


def status_of(request: Request | str) -> int:
    try:
        with urlopen(request, timeout=60) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code


@pytest.mark.parametrize("code", CODES, ids=NAMES)
@pytest.mark.parametrize("ask", [upload, lambda server: status_of(server.url + "/metrics")], ids=["upload", "metrics"])
def test_request_whose_file_operation_fails(
    server: Server, faults: Faults, ask: Callable[[Server], int], code: int
) -> None:
    workers = server.workers()
    for number in range(1, MAX_OPERATIONS):
        faults.fail(number, code)
        assert ask(server) in {200, 503, 507}, number
    faults.clear()
    assert ask(server) == 200
    assert server.workers() == workers


@pytest.mark.parametrize("code", CODES, ids=NAMES)
def test_reload_whose_file_operation_fails(server: Server, faults: Faults, code: int) -> None:
    for number in range(1, MAX_OPERATIONS):
        faults.fail(number, code)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for(r"Worker exiting \(pid: (\d+)")
        faults.clear()
        assert len(server.predict()["probabilities"]) == 10, number
        assert server.process.poll() is None, number


@pytest.mark.parametrize("number", range(1, MAX_OPERATIONS))
def test_start_whose_file_operation_fails_serves_or_ends(
    tmp_path: Path, environment: dict[str, str], faults: Faults, number: int
) -> None:
    faults.fail(number, errno.ENOSPC)
    try:
        with start_gunicorn(tmp_path / "log", workers=1, environment=environment) as server:
            assert len(server.predict()["probabilities"]) == 10
    except RuntimeError:  # it ended
        assert "No space left on device" in (tmp_path / "log").read_text()
