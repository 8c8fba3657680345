"""Atomic writes: if anything fails, the file keeps its old content."""

import errno
import io
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from storage import write_atomically

OLD, NEW = b"old content", b"new content" * 1000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    return path


class FileOnFullDisk(io.FileIO):
    """Writes half of the data."""

    def write(self, data: Any) -> int:
        super().write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")


class FileThatCannotBeFlushed(io.FileIO):
    def flush(self) -> None:
        fail()


def fail(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


FAULTS = {
    "making the temporary file": lambda patch: patch.setattr("tempfile.mkstemp", fail),
    "write": lambda patch: patch.setattr("os.fdopen", FileOnFullDisk),
    "flush": lambda patch: patch.setattr("os.fdopen", FileThatCannotBeFlushed),
    "fsync": lambda patch: patch.setattr("os.fsync", fail),
    "chmod": lambda patch: patch.setattr(Path, "chmod", fail),
    "replace": lambda patch: patch.setattr("os.replace", fail),
}


@pytest.mark.parametrize("break_disk", FAULTS.values(), ids=FAULTS)
def test_old_content_survives_a_failing_disk(break_disk: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        break_disk(patch)
        with pytest.raises(OSError, match=r"error|space"):
            write_atomically(path, NEW)
    assert path.read_bytes() == OLD
    assert list(path.parent.iterdir()) == [path]


def test_interruption_leaves_no_temporary_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(path, NEW)
    assert path.read_bytes() == OLD
    assert list(path.parent.iterdir()) == [path]


def test_folder_that_cannot_be_synced_holds_the_whole_new_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def fsync_files_only(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            fail()
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fsync_files_only)
        with pytest.raises(OSError, match="Input/output error"):
            write_atomically(path, NEW)
    assert path.read_bytes() == NEW
    assert list(path.parent.iterdir()) == [path]


def test_content_reaches_the_disk_before_the_name_does(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        steps.append("fsync folder" if stat.S_ISDIR(status.st_mode) else f"fsync {status.st_size} bytes")
        fsync(descriptor)

    def watched_replace(source: Path, target: Path) -> None:
        assert source.parent == target.parent  # a rename is atomic only within one file system
        steps.append("replace")
        replace(source, target)

    monkeypatch.setattr("os.fsync", watched_fsync)
    monkeypatch.setattr("os.replace", watched_replace)
    write_atomically(path, NEW)
    assert steps == [f"fsync {len(NEW)} bytes", "replace", "fsync folder"]


def test_new_file_is_readable_by_other_users(tmp_path: Path) -> None:
    path = tmp_path / "new"
    write_atomically(path, NEW)
    assert path.read_bytes() == NEW
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none" / "file", NEW)
