"""One's own pictures as training digits."""

import os
from pathlib import Path

import numpy as np
import pytest

from config import Limits
from recognition.normalize import normalize
from recognition.picture import decode_picture
from testing.handwriting import DIGITS
from testing.pictures import picture_of
from training import folders
from training.data import DataError
from training.folders import load_folder
from training.sources import load_split


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two pictures of each digit."""
    for digit, drawing in DIGITS.items():
        folder = tmp_path / "photos" / str(digit)
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(picture_of(drawing))
        (folder / "b.JPG").write_bytes(picture_of(drawing, "JPEG"))
    return tmp_path / "photos"


def test_pictures_are_seen_as_serving_sees_them(photos: Path, tmp_path: Path) -> None:
    digits = load_folder(photos, tmp_path / "cache")
    assert digits.labels.tolist() == [digit for digit in range(10) for _ in range(2)]
    served = normalize(decode_picture((photos / "3" / "a.png").read_bytes(), Limits()))
    assert np.array_equal(digits.frames[6].numpy(), np.round(served * 255).astype(np.uint8))


def test_pictures_are_processed_once_until_one_changes(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    original = folders._frame_or_error

    def count(path: Path) -> object:
        seen.append(path)
        return original(path)

    monkeypatch.setattr(folders, "_frame_or_error", count)
    first = load_folder(photos, tmp_path / "cache")
    second = load_folder(photos, tmp_path / "cache")
    assert len(seen) == 20
    assert np.array_equal(first.frames.numpy(), second.frames.numpy())
    os.utime(photos / "0" / "a.png", ns=(1, 1))
    load_folder(photos, tmp_path / "cache")
    assert len(seen) == 40
    monkeypatch.setattr(folders, "PREPROCESSING_VERSION", -1)
    load_folder(photos, tmp_path / "cache")
    assert len(seen) == 60


def test_damaged_cache_is_made_again(photos: Path, tmp_path: Path) -> None:
    load_folder(photos, tmp_path / "cache")
    (cache,) = (tmp_path / "cache").iterdir()
    whole = cache.read_bytes()
    for damaged in (b"", whole[:100], whole[:-500], b"PK" + whole[2:200]):
        cache.write_bytes(damaged)
        assert len(load_folder(photos, tmp_path / "cache")) == 20


def test_broken_pictures_are_listed_and_counted_each_time(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "4" / "broken.png").write_bytes(b"\x89PNG but not really")
    (photos / "4" / "text.png").write_text("hello")
    for _ in range(2):
        assert len(load_folder(photos, tmp_path / "cache")) == 20
        said = capsys.readouterr().err
        assert "broken.png" in said
        assert "text.png" in said
        assert "2 of 22 pictures cannot be read" in said


def test_cache_that_cannot_be_written_is_done_without(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert len(load_folder(photos, tmp_path / "cache")) == 20
    assert "not kept for the next run" in capsys.readouterr().err


def test_folder_without_pictures_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"found notes\.txt"):
        load_folder(tmp_path, tmp_path / "cache")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="found nothing"):
        load_folder(empty, tmp_path / "cache")


def test_unknown_labels_are_named(photos: Path, tmp_path: Path) -> None:
    (photos / "seven").mkdir()
    with pytest.raises(DataError, match=r"named 0 to 9; found seven/"):
        load_folder(photos, tmp_path / "cache")


def test_folder_in_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos" / "1").mkdir(parents=True)
    (tmp_path / "photos" / "1" / "a.png").write_text("hello")
    with pytest.raises(DataError, match="None of the 1 pictures"):
        load_folder(tmp_path / "photos", tmp_path / "cache")


def test_sources_are_mixed_and_a_folder_has_no_test_digits(photos: Path, tmp_path: Path) -> None:
    split = load_split([f"folder:{photos}"], tmp_path)
    assert (len(split.training), len(split.validation), split.test) == (18, 2, {})
