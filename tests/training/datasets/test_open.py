"""The openly licensed sets in `data/open`, and their README."""

import hashlib
import re
from pathlib import Path

import pytest

from config import ROOT
from training.datasets import DataError, load_split
from training.datasets.open import OPEN_DIGITS, OPEN_NONDIGITS, _is_one, load_nondigits, load_pendigits, load_semeion

DATA = ROOT / "data"
README = (DATA / "open" / "README.md").read_text()


def test_readme_has_each_file_with_its_count_licence_and_sha256() -> None:
    rows = re.findall(
        r"^\| `([\w.]+)` \| ([\d,]+) \| .* \| (CC BY 4\.0|MIT|public domain) \| `(\w{64})` \|$", README, re.M
    )
    files = {path.name for path in (DATA / "open").iterdir()} - {"README.md"}
    assert {name for name, *_ in rows} == files
    for name, _, _, digest in rows:
        assert hashlib.sha256((DATA / "open" / name).read_bytes()).hexdigest() == digest


def test_pen_digits_have_their_number_and_writers() -> None:
    drawings = load_pendigits(DATA)
    assert len(drawings) == 5_994
    assert "| `pendigits.jsonl.gz` | 5,994 |" in README
    assert drawings.writers is not None
    assert len(set(drawings.writers)) == 24


def test_scans_are_normalized_to_frames() -> None:
    digits = load_semeion(DATA)
    assert digits.frames.shape == (1_593, 28, 28)
    assert digits.labels.bincount().min() > 100


def test_non_digits_that_look_like_a_digit_are_left_out() -> None:
    assert 500 < len(load_nondigits("quickdraw", DATA)) < 695
    assert _is_one([[[0, 0], [1, 10]]])
    assert not _is_one([[[0, 0], [10, 10]]])
    assert not _is_one([[[0, 0], [1, 10]], [[0, 12], [0, 13]]])


@pytest.mark.parametrize("name", [*OPEN_DIGITS, *OPEN_NONDIGITS])
def test_missing_file_is_named(name: str, tmp_path: Path) -> None:
    is_digits = name in OPEN_DIGITS
    with pytest.raises(DataError, match=str(tmp_path / "open")):
        load_split([name] if is_digits else [], tmp_path, nondigits=[] if is_digits else [name])


def test_sets_are_repeated_as_the_recipe_says() -> None:
    once, twice = (load_split(["semeion"], DATA, repeats=repeats) for repeats in ({}, {"semeion": 2}))
    assert len(twice.training) == 2 * len(once.training)
    assert len(twice.validation) == len(once.validation) == 159


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'nmist' is not a data set"):
        load_split(["nmist"], tmp_path)
    with pytest.raises(DataError, match="'mnist' is not a data set"):
        load_split(["semeion"], DATA, nondigits=["mnist"])
