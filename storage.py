"""Atomic file writes: a reader finds the old content or the new, never a part of either."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the content of `path` with `data`; a crash at any moment leaves the old or the new content.

    Raises `OSError`, for example if the disk is full; the old file is then unchanged, and no temporary file is left.
    """
    with replace_atomically(path) as file:
        file.write(data)


@contextmanager
def replace_atomically(path: Path) -> Iterator[IO[bytes]]:
    """A file that replaces `path` at the end of the block unless an exception is raised; see `write_atomically`."""
    # In the same folder, because a rename is atomic only within a file system.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # not mkstemp's 0600: a server may run as another user
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # Without this, a power failure may undo the rename. Windows cannot open a folder.
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
