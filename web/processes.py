"""State shared by the processes of one server."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from config import Settings

# The settings that the server was started with; None before that.
settings: Settings | None = None

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp creates the folder safely
_PREFIX = "digits-"


@cache
def shared_folder() -> Path:
    """A folder for this process and its forks, in shared memory if available; removed at exit.

    It is locked while any of them is running. Unlocked folders, left by servers that were killed, are removed.
    """
    parent = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else Path(tempfile.gettempdir())
    _remove_stale_folders(parent)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        # Another server that is starting may have locked the new folder to remove it.
        if _lock(folder) is not None and folder.exists():
            break
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove_stale_folders(parent: Path) -> None:
    for folder in parent.glob(_PREFIX + "*"):
        descriptor = _lock(folder)
        if descriptor is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the lock until this process and its forks close it; None if another process holds it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # gone, or another user's
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # forked processes inherit exit handlers
        shutil.rmtree(folder, ignore_errors=True)
