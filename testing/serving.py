"""gunicorn as the tests start it: with a small untrained network, on a free port."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from model import ARCHITECTURES, Checkpoint, save_checkpoint

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "gunicorn"]
DRAWING = {"strokes": [[[100, 20], [101, 60], [100, 120], [99, 180]]]}


def save_untrained(path: Path) -> str:
    """A checkpoint file whose network no other has; its id."""
    network = ARCHITECTURES["linear"]()
    checkpoint = Checkpoint(architecture="linear", arguments={}, state_dict=network.state_dict())
    save_checkpoint(checkpoint, path)
    return checkpoint.id


class Server:
    """A running gunicorn and its log."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.url = self.wait_for(r"Listening at: (http://\S+)")
        self.worker = int(self.wait_for(r"Booting worker with pid: (\d+)"))

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, for a socket."""
        url = urlsplit(self.url)
        assert url.hostname
        assert url.port
        return url.hostname, url.port

    def wait_for(self, pattern: str) -> str:
        """The group of the first line of the log that matches."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if match := re.search(pattern, line):
                return match[1]
        raise AssertionError(f"gunicorn ended without a line {pattern!r}")

    def get(self, path: str) -> str:
        """The body of a page."""
        with urlopen(self.url + path, timeout=60) as response:
            body: bytes = response.read()
            return body.decode()

    def connect(self) -> socket.socket:
        """A connection on which nothing is said yet."""
        return socket.create_connection(self.address, timeout=60)

    def predict(self) -> dict[str, Any]:
        # The kernel keeps the request until a worker has loaded the model, so nothing has to wait for that.
        headers = {"Content-Type": "application/json"}
        request = Request(self.url + "/api/v1/predict", json.dumps(DRAWING).encode(), headers)
        with urlopen(request, timeout=60) as response:
            answer: dict[str, Any] = json.load(response)
            return answer


@contextmanager
def gunicorn(*, folder: Path = ROOT) -> Iterator[Server]:
    """The server, as the environment variables of this process and a `.env` in `folder` have it."""
    command = ["env", f"PYTHONPATH={ROOT}", *COMMAND, "--config", str(ROOT / "gunicorn.conf.py")]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process)
        finally:
            process.terminate()
