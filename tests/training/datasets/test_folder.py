"""Folders of pictures as digits."""

import os
from pathlib import Path

import numpy as np
import pytest

from config import Limits
from recognition.normalize import normalize
from recognition.picture import decode_picture
from testing.handwriting import DIGITS
from testing.pictures import picture_of
from training.datasets import DataError, folder, load_split
from training.datasets.folder import load_folder, load_frames


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two pictures of each digit."""
    for digit, drawing in DIGITS.items():
        of_digit = tmp_path / "photos" / str(digit)
        of_digit.mkdir(parents=True)
        (of_digit / "a.png").write_bytes(picture_of(drawing))
        (of_digit / "b.JPG").write_bytes(picture_of(drawing, "JPEG"))
    return tmp_path / "photos"


def test_pictures_are_preprocessed_as_in_serving(photos: Path, tmp_path: Path) -> None:
    digits = load_folder(photos, tmp_path / "cache")
    assert digits.labels.tolist() == [digit for digit in range(10) for _ in range(2)]
    served = normalize(decode_picture((photos / "3" / "a.png").read_bytes(), Limits()))
    assert np.array_equal(digits.frames[6].numpy(), np.round(served * 255).astype(np.uint8))


def test_frames_are_cached_until_a_picture_or_the_preprocessing_changes(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    original = folder._load_frame

    def count(path: Path) -> object:
        seen.append(path)
        return original(path)

    monkeypatch.setattr(folder, "_load_frame", count)
    first = load_folder(photos, tmp_path / "cache")
    second = load_folder(photos, tmp_path / "cache")
    assert len(seen) == 20
    assert np.array_equal(first.frames.numpy(), second.frames.numpy())
    os.utime(photos / "0" / "a.png", ns=(1, 1))
    load_folder(photos, tmp_path / "cache")
    assert len(seen) == 40
    monkeypatch.setattr(folder, "PREPROCESSING_VERSION", -1)
    load_folder(photos, tmp_path / "cache")
    assert len(seen) == 60


def test_damaged_cache_is_replaced(photos: Path, tmp_path: Path) -> None:
    load_folder(photos, tmp_path / "cache")
    (cache,) = (tmp_path / "cache").iterdir()
    whole = cache.read_bytes()
    for damaged in (b"", whole[:100], whole[:-500], b"PK" + whole[2:200]):
        cache.write_bytes(damaged)
        assert len(load_folder(photos, tmp_path / "cache")) == 20


def test_unreadable_pictures_are_listed_each_time(
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


def test_folder_is_loaded_if_the_cache_cannot_be_written(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert len(load_folder(photos, tmp_path / "cache")) == 20
    assert "cannot be cached" in capsys.readouterr().err


def test_folder_without_pictures_names_what_it_holds(tmp_path: Path) -> None:
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


def test_folder_without_readable_pictures_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "photos" / "1").mkdir(parents=True)
    (tmp_path / "photos" / "1" / "a.png").write_text("hello")
    with pytest.raises(DataError, match="None of the 1 pictures"):
        load_folder(tmp_path / "photos", tmp_path / "cache")


def test_folder_is_split_and_has_no_test_digits(photos: Path, tmp_path: Path) -> None:
    split = load_split([f"folder:{photos}"], tmp_path)
    assert (len(split.training), len(split.validation), split.test) == (18, 2, {})


def test_pictures_of_non_digits_are_found_at_any_depth(photos: Path, tmp_path: Path) -> None:
    assert load_frames(photos, tmp_path / "cache").shape == (20, 28, 28)
    with pytest.raises(DataError, match=r"no folder .* with pictures"):
        load_frames(tmp_path / "missing", tmp_path / "cache")
