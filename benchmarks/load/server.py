"""The server as it runs in production, started for a proof: gunicorn with the repository's settings, on a free port."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.load.generator import Address
from config import ROOT
from testing.processes import children

START_SECONDS = 120.0
STOP_SECONDS = 60.0
# Arguments that keep gunicorn from replacing workers after so many requests: what they lose has nowhere to hide.
FOR_EVER = ("--max-requests", "0")
_URL = re.compile(r"http://(?P<host>127\.0\.0\.1):(?P<port>[1-9][0-9]*)")


class Server:
    """A process that serves, with its log in a file. Used as a context, so that nothing is left running."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        address: Address | None = None,
    ) -> None:
        """Without `address`, the first URL in the log says where the server listens."""
        self.started = time.perf_counter()
        self._log = log
        with log.open("wb") as output:
            # `env` adds to the environment that is handed on, which only config.py reads, and becomes the command.
            settings = [f"{name}={value}" for name, value in (environment or {}).items()]
            self.process = subprocess.Popen(
                ["env", *settings, *command], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            self.address = address or self._find_address()
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
    def pid(self) -> int:
        """The process that was started, which for gunicorn is the master."""
        return self.process.pid

    def workers(self) -> list[int]:
        """The processes that answer."""
        return children(self.pid)

    def log(self) -> str:
        """All that it has written so far."""
        return self._log.read_text(errors="replace")

    def wait_until_ready(self, path: str = "/api/v1/health/ready") -> None:
        """Return once `path` is answered with 200."""
        self._wait(lambda: get_status(self.address, path) == 200)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it, by force where it does not obey; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def _find_address(self) -> Address:
        self._wait(lambda: _URL.search(self.log()) is not None)
        match = _URL.search(self.log())
        assert match is not None
        return match["host"], int(match["port"])

    def _wait(self, has_happened: Callable[[], bool]) -> None:
        while not has_happened():
            if self.process.poll() is not None or time.perf_counter() - self.started > START_SECONDS:
                raise RuntimeError(f"the server did not start:\n{self.log()}")
            time.sleep(0.002)


def start_gunicorn(
    log: Path, *, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None, workers: int = 0
) -> Server:
    """The app under gunicorn.conf.py, ready to answer."""
    settings = {"DIGITS_ENV": "prod", "DIGITS_PORT": "0", "DIGITS_WORKERS": str(workers)}
    server = Server(
        [sys.executable, "-m", "gunicorn", *arguments], log, environment={**settings, **(environment or {})}
    )
    try:
        server.wait_until_ready()
    except BaseException:
        server.stop(signal.SIGKILL)
        raise
    return server


def get_status(address: Address, path: str) -> int:
    """Status of a GET; 0 where there is no answer."""
    connection = HTTPConnection(*address, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()
