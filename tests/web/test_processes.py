"""The folder that the processes of one server share."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn runs on Unix")

# Prints its shared folder and keeps it until it is told to end.
_OWNER = """
import sys
from pathlib import Path
from web import processes
processes._SHARED_MEMORY = Path(sys.argv[1])
print(processes.shared_folder(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[object]:
    started: list[subprocess.Popen[str]] = []

    def start() -> tuple[subprocess.Popen[str], Path]:
        command = [sys.executable, "-c", _OWNER, str(tmp_path)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_folder_is_removed_by_a_clean_exit(start) -> None:
    process, folder = start()
    assert folder.is_dir()
    process.communicate("")
    assert not folder.exists()


def test_folder_of_a_killed_server_is_removed_by_the_next_start(start) -> None:
    process, folder = start()
    process.kill()
    process.wait()
    assert folder.is_dir()
    _, new = start()
    assert new.is_dir()
    assert not folder.exists()


def test_folder_of_a_running_server_stays(start) -> None:
    _, folder = start()
    start()
    assert folder.is_dir()
