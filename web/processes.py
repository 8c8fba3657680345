"""What the processes of one server share."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from config import Settings

# Those that the server was started with, once it has.
settings: Settings | None = None

_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes the folder safely


@cache
def shared_folder() -> Path:
    """A folder for this process and those it forks, in memory where there is such a place; gone when it ends."""
    folder = Path(tempfile.mkdtemp(prefix="digits-", dir=_MEMORY if _MEMORY.is_dir() else None))
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # forked processes inherit what is to be done at exit
        shutil.rmtree(folder, ignore_errors=True)
