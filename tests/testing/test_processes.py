"""Resource usage of processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testing.processes import children, is_idle, process_tree, resource_usage
from testing.waiting import eventually

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads /proc")


def test_memory_and_descriptors_are_seen() -> None:
    before = resource_usage(os.getpid())
    with Path(os.devnull).open() as _:
        kept = bytearray(b"x") * (50 * 2**20)
        after = resource_usage(os.getpid())
    assert after.descriptors == before.descriptors + 1
    assert len(kept) / 2**20 - 5 < after.anonymous - before.anonymous
    assert len(kept) / 2**20 - 5 < after.pss - before.pss
    assert after.threads >= 1


def test_waiting_is_idle_and_working_is_not() -> None:
    assert not is_idle(os.getpid())
    with subprocess.Popen(["sleep", "60"]) as process:
        eventually(lambda: is_idle(process.pid))
        process.kill()


def test_children_are_found() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert process.pid in children(os.getpid())
        assert process.pid in process_tree(os.getpid())
        process.communicate(b"\n")
    assert process.pid not in children(os.getpid())
