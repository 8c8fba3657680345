"""Which worker accepts the next connection."""

import os
import sys
from unittest.mock import Mock, patch

import pytest

from web.connection_counts import ConnectionCounts


def test_minimum_is_of_accepting_workers() -> None:
    counts = ConnectionCounts()
    assert counts.minimum() == 0
    counts.set(1, 7)
    counts.set(2, 3)
    assert counts.minimum() == 3
    counts.clear(2)
    assert counts.minimum() == 7


def test_workers_beyond_the_slots_are_not_counted() -> None:
    counts = ConnectionCounts()
    counts.set(1, 7)
    counts.set(10_000, 3)
    counts.clear(10_000)
    assert counts.minimum() == 7


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_counts_are_shared_with_forked_processes() -> None:
    counts = ConnectionCounts()
    if (pid := os.fork()) == 0:
        counts.set(1, 5)
        os._exit(0)
    os.waitpid(pid, 0)
    assert counts.minimum() == 5


@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn runs on Unix")
@pytest.mark.parametrize(
    ("connections", "minimum", "admitted", "delay"),
    [(3, 3, 0, None), (4, 3, 0, 0.0005), (5, 3, 0, 0.001), (50, 3, 0, 0.002), (50, 3, 20, None)],
    ids=["equal", "one more", "two more", "many more", "refuses anyway"],
)
def test_worker_with_more_connections_accepts_later(
    connections: int, minimum: int, admitted: int, delay: float | None
) -> None:
    from web.load_shedding import LoadSheddingWorker

    worker = Mock(nr_conns=connections, worker_connections=500, _admitted=admitted, _capacity=20)
    worker.connection_counts.minimum.return_value = minimum
    listener = Mock(accept=Mock(side_effect=BlockingIOError))
    with patch("web.load_shedding.time.sleep") as sleep:
        LoadSheddingWorker.accept(worker, listener)
    assert [call.args[0] for call in sleep.call_args_list] == ([] if delay is None else [delay])
    listener.accept.assert_called_once()
