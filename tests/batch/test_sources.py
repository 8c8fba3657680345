import os
from pathlib import Path

import fsspec
import pytest

from batch.rows import BatchError
from batch.sources import SUPPORTED, describe_error, find_pictures, read_file
from recognition.picture import SUFFIXES


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(arguments: list[str], folder: Path) -> list[str]:
    return [os.path.relpath(path, folder) for path in find_pictures(arguments)]


def test_folder_gives_its_pictures_at_any_depth(tmp_path: Path) -> None:
    touch(tmp_path / "b.JPG", tmp_path / "a.png", tmp_path / "notes.txt", tmp_path / "deep" / "er" / "c.webp")
    assert names([str(tmp_path)], tmp_path) == ["a.png", "b.JPG", "deep/er/c.webp"]


def test_hidden_files_and_own_output_are_skipped(tmp_path: Path) -> None:
    touch(tmp_path / ".a.png", tmp_path / ".trash" / "b.png", tmp_path / "c.png.frame.png", tmp_path / "c.png.plot.png")
    assert names([str(tmp_path / ".")], tmp_path) == ["."]


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    (tmp_path / "again").symlink_to(tmp_path)
    assert names([str(tmp_path)], tmp_path) == ["a.png"]


def test_named_file_is_read_with_any_suffix(tmp_path: Path) -> None:
    touch(tmp_path / "scan.dat")
    assert names([str(tmp_path / "scan.dat")], tmp_path) == ["scan.dat"]


def test_globs_are_expanded_in_order(tmp_path: Path) -> None:
    touch(tmp_path / "2.png", tmp_path / "1.png", tmp_path / "sub" / "3.png", tmp_path / "4.txt")
    assert names([str(tmp_path / "*.png")], tmp_path) == ["1.png", "2.png"]
    assert names([str(tmp_path / "**" / "*.png")], tmp_path) == ["1.png", "2.png", "sub/3.png"]


def test_existing_name_with_brackets_is_not_a_glob(tmp_path: Path) -> None:
    touch(tmp_path / "scan[1].png")
    assert names([str(tmp_path / "scan[1].png")], tmp_path) == ["scan[1].png"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("none.png", "no such file"), ("none*.png", "no such file"), ("empty", "holds no pictures")],
)
def test_argument_without_pictures_is_explained(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "empty").mkdir()
    (path,) = find_pictures([str(tmp_path / name)])
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which one differs by system
        read_file(path)
    assert sentence in describe_error(caught.value)


def test_fsspec_file_systems_are_searched_and_read() -> None:
    files = fsspec.filesystem("memory")
    files.pipe({"/scans/1.png": b"one", "/scans/deep/2.png": b"two", "/scans/notes.txt": b"no"})
    try:
        assert sorted(find_pictures(["memory://scans"])) == ["memory:///scans/1.png", "memory:///scans/deep/2.png"]
        assert list(find_pictures(["memory://scans/*.png"])) == ["memory:///scans/1.png"]
        assert read_file("memory:///scans/deep/2.png") == b"two"
    finally:
        files.rm("/scans", recursive=True)


def test_unknown_protocol_is_refused() -> None:
    with pytest.raises(BatchError, match="nosuch://"):
        list(find_pictures(["nosuch://scans"]))


def test_pictures_that_are_found_are_those_that_can_be_decoded() -> None:
    assert SUPPORTED == SUFFIXES
