"""Servers as processes: gunicorn with the repository's settings, or any command that listens on a port."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.request import Request, urlopen

from config import ROOT
from testing.processes import children

Address: TypeAlias = tuple[str, int]

START_SECONDS = 120.0
STOP_SECONDS = 60.0
REQUEST_SECONDS = 60.0
# Arguments that keep gunicorn from replacing a worker after a number of requests.
NO_RECYCLING = ("--max-requests", "0")
DRAWING = {"strokes": [[[100, 20], [101, 60], [100, 120], [99, 180]]]}
_URL = r"(http://127\.0\.0\.1:[1-9][0-9]*)"
_BOOTING = r"Booting worker with pid: (\d+)"


class Server:
    """A server process that logs to a file. As a context manager it stops the process at the end."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path = ROOT,
        address: Address | None = None,
    ) -> None:
        """Start `command` in `folder`, with `environment` added to that of this process.

        Without `address`, it is the first URL in the log. Raises `RuntimeError` with the log if the process ends early.
        """
        self.started = time.perf_counter()
        self._log = log
        self._read = 0  # characters of the log that `wait_for` has consumed
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self.address = address or _parse(self.wait_for(_URL))
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        host, port = self.address
        return f"http://{host}:{port}"

    @property
    def pid(self) -> int:
        """The process that was started; for gunicorn, the master."""
        return self.process.pid

    @property
    def worker(self) -> int:
        """The gunicorn worker that started last."""
        return int(re.findall(_BOOTING, self.log())[-1])

    def workers(self) -> list[int]:
        """The children of the process that run now, oldest first. Linux only."""
        return children(self.pid)

    def log(self) -> str:
        """Everything written so far."""
        return self._log.read_text(errors="replace")

    def wait_for(self, pattern: str) -> str:
        """The first group of the next match in the log, after the last one that was returned."""
        self._wait(lambda: re.compile(pattern).search(self.log(), self._read) is not None)
        match = re.compile(pattern).search(self.log(), self._read)
        assert match is not None
        self._read = match.end()
        return match[1]

    def wait_until_ready(self, path: str = "/api/v1/health/ready") -> None:
        """Return once `path` is answered with 200; what was logged until then is past for `wait_for`."""
        self._wait(lambda: get_status(self.address, path) == 200)
        self._read = len(self.log())

    def wait_until_listening(self) -> None:
        """Return once a connection is accepted."""
        self._wait(lambda: _accepts(self.address))

    def connect(self) -> socket.socket:
        """A connection on which nothing has been sent yet."""
        return socket.create_connection(self.address, timeout=REQUEST_SECONDS)

    def get(self, path: str) -> str:
        """The body of the answer to a GET."""
        with urlopen(self.url + path, timeout=REQUEST_SECONDS) as response:
            body: bytes = response.read()
        return body.decode()

    def predict(self) -> dict[str, Any]:
        """The answer to a drawing."""
        request = Request(
            self.url + "/api/v1/predict", json.dumps(DRAWING).encode(), {"Content-Type": "application/json"}
        )
        with urlopen(request, timeout=REQUEST_SECONDS) as response:
            answer: dict[str, Any] = json.load(response)
        return answer

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the process, by force where it does not obey; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def _wait(self, has_happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not has_happened():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.process.args!r} ended or hangs; its log:\n{self.log()}")
            time.sleep(0.002)


def start_gunicorn(
    log: Path,
    *,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    workers: int | None = None,
    port: int = 0,
    folder: Path = ROOT,
) -> Server:
    """The app under gunicorn.conf.py in production mode, ready to answer.

    `port` 0 is any free port, `workers` None one per core; `folder` is where a `.env` file is looked for.
    """
    settings = {"DIGITS_ENV": "prod", "DIGITS_PORT": str(port), "PYTHONPATH": str(ROOT)}
    if workers is not None:
        settings["DIGITS_WORKERS"] = str(workers)
    command = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "gunicorn.conf.py"), *arguments]
    server = Server(command, log, environment={**settings, **(environment or {})}, folder=folder)
    try:
        server.wait_until_ready()
    except BaseException:
        server.stop(signal.SIGKILL)
        raise
    return server


def get_status(address: Address, path: str) -> int:
    """Status of a GET; 0 where there is no answer."""
    with closing(HTTPConnection(*address, timeout=5)) as connection:
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0


def free_port() -> int:
    """A port of 127.0.0.1 that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _parse(url: str) -> Address:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


def _accepts(address: Address) -> bool:
    try:
        socket.create_connection(address, timeout=5).close()
    except OSError:
        return False
    return True
