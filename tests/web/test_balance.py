"""Which worker gets the next connection."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from testing.processes import look_at
from testing.servers import Server, start_gunicorn
from web.balance import Held


def test_fewest_is_of_those_that_take_connections() -> None:
    held = Held()
    assert held.fewest() == 0
    held.tell(1, 7)
    held.tell(2, 3)
    assert held.fewest() == 3
    held.forget(2)
    assert held.fewest() == 7


def test_workers_beyond_the_slots_are_not_counted() -> None:
    held = Held()
    held.tell(1, 7)
    held.tell(10_000, 3)
    held.forget(10_000)
    assert held.fewest() == 7


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_is_shared_with_forked_processes() -> None:
    held = Held()
    if (pid := os.fork()) == 0:
        held.tell(1, 5)
        os._exit(0)
    os.waitpid(pid, 0)
    assert held.fewest() == 5


def n_sockets(pid: int) -> int:
    links = [entry.readlink() for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()]
    return sum(str(link).startswith("socket:") for link in links)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with start_gunicorn(tmp_path / "log", workers=2) as server:
        yield server


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_connections_go_to_the_worker_with_fewest(server: Server) -> None:
    full, empty = server.workers()
    while any(look_at(pid).threads == 1 for pid in (full, empty)):  # one that has answered has a thread for it
        server.predict()
    with ExitStack() as stack:
        # The first one takes all while the other is held.
        os.kill(empty, signal.SIGSTOP)
        others = n_sockets(full)
        for _ in range(12):
            stack.enter_context(server.connect())
        while n_sockets(full) < others + 12:
            time.sleep(0.01)
        os.kill(empty, signal.SIGCONT)
        before = n_sockets(empty)
        for _ in range(12):
            time.sleep(0.05)
            stack.enter_context(server.connect())
        while n_sockets(full) + n_sockets(empty) < others + 12 + before + 12:
            time.sleep(0.01)
        assert n_sockets(empty) - before >= 10  # by chance: once in fifty
